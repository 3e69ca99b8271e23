# Held open by operator through an exec: says what becomes of the database's process, and acts on it.
# Input: a line is NUMBER POD_UID COMMAND [ARGUMENT...]. Output: `NUMBER ok|stale|failed TEXT` for each, and
# unasked `= PID START STATE CODE HELD` whenever that changed, `.` each second while nothing did.
dir=$OPERATOR_DIR
. "$OPERATOR_SCRIPTS/pod_acts.sh"

# The database's process as it is now, into $seen.
see() {
	pid=- begin=- code=- held=-
	[ ! -s "$dir/process" ] || read -r pid begin <"$dir/process"
	[ ! -s "$dir/hold" ] || held=held
	if is "$pid" "$begin"; then
		case $state in [Tt]) ;; *) state=R ;; esac
		seen="$pid $begin $state - $held"
		return
	fi
	[ ! -s "$dir/ended" ] || read -r ended code <"$dir/ended"
	[ "${ended:-}" = "$pid" ] || code=-
	seen="$pid $begin - $code $held"
}

# Waits a moment. A read that nobody answers takes no new process; shells that can't do that sleep.
fifo=/tmp/operator-never.$$
mkfifo "$fifo" && exec 3<>"$fifo" && rm -f "$fifo"
(eval 'read -r -t 0.01 _ <&3') 2>/dev/null
if [ $? = 2 ]; then moment() { sleep 0.05; }; else moment() { read -r -t 0.03 _ <&3; }; fi

report() {
	told= quiet=0
	while kill -0 "$1" 2>/dev/null; do
		see
		quiet=$((quiet + 1))
		if [ "$seen" != "$told" ]; then
			# What ended is told with its exit code: whoever waits for it writes that a moment later.
			case $seen in *' - - '*) moment; see ;; esac
			echo "= $seen" || return
			told=$seen quiet=0
		elif [ "$quiet" -ge 20 ]; then
			echo . || return
			quiet=0
		fi
		moment
	done
}

# do_it COMMAND [ARGUMENT...]: answer, into $answer.
do_it() {
	command=$1
	shift
	case $command in
	see) see && answer="ok $seen" ;;
	waits) # What the kernel keeps of its threads: nanoseconds on a processor, and waiting for one.
		see
		ran=0 waited=0
		for task in "/proc/$pid/task"/*/schedstat; do
			if read -r a b _ 2>/dev/null <"$task"; then ran=$((ran + a)) waited=$((waited + b)); fi
		done
		answer="ok $ran $waited"
		;;
	kill | stop | pause | resume)
		if ! is "$1" "$2"; then
			answer="stale the process is not $1 started at $2"
			return
		fi
		seconds
		case $command in
		kill) echo $((now + $3)) >"$dir/hold" && kill -KILL "$1" ;;
		stop) echo $((now + $3)) >"$dir/hold" && kill -TERM "$1" && kill -CONT "$1" ;;
		pause) echo "$((now + $3)) $1 $2" >"$dir/pause" && kill -STOP "$1" ;;
		resume) kill -CONT "$1" && rm -f "$dir/pause" ;;
		esac && answer="ok" || answer="failed $command"
		;;
	force) if is "$1" "$2"; then kill -KILL "$1"; fi && answer=ok || answer="failed force" ;;
	start) rm -f "$dir/hold" && answer=ok || answer="failed start" ;;
	rules) answer="ok"; [ ! -s "$dir/net" ] || { read -r _ scopes <"$dir/net" && answer="ok $scopes"; } ;;
	cut) # TTL SCOPE [PEER...]
		seconds
		ttl=$1
		shift
		open_network
		echo "$((now + ttl)) $1" >"$dir/net"
		if said=$(close_network "$@" 2>&1); then answer=ok; else open_network; answer="failed $said"; fi
		;;
	trial) # Whether this kernel and this container let the network be cut at all.
		if said=$(ip rule add pref 79 to 192.0.2.1 type blackhole 2>&1); then answer=ok; else answer="failed $said"; fi
		ip rule del pref 79 2>/dev/null
		;;
	uncut) open_network && answer=ok || answer="failed uncut" ;;
	*) answer="failed unknown command $command" ;;
	esac
}

report $$ &
reporter=$!
while read -r number uid line; do
	if [ "$uid" != "$POD_UID" ]; then
		echo "$number stale this is the pod $POD_UID"
		continue
	fi
	do_it $line
	echo "$number $answer"
done
kill "$reporter" 2>/dev/null
