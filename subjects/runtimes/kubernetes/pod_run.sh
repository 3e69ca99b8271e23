# Runs the database in its container: starts it, keeps it down while it is held, and ends as it ended.
# usage: pod_run.sh PROGRAM [ARGUMENT...]. OPERATOR_DIR is the folder that it shares with the agent's container.
dir=$OPERATOR_DIR child= asked=

# Whether it is to stay down: until is in seconds since the boot, so that nobody's death makes it forever.
held() {
	until=0
	[ -r "$dir/hold" ] || return 1
	read -r until <"$dir/hold" || return 1
	read -r now _ </proc/uptime
	[ "${now%%.*}" -lt "${until:-0}" ]
}

# Of the process $1: its start, in ticks since the boot.
started() {
	start=
	read -r stat <"/proc/$1/stat" || return 1
	set -- ${stat##*) }
	start=${20}
}

trap 'asked=1; [ -z "$child" ] || kill -TERM "$child"' TERM
while :; do
	while held; do
		[ -z "$asked" ] || exit 0
		"$dir/busybox" sleep 0.05
	done
	[ -z "$asked" ] || exit 0
	"$@" &
	child=$!
	started "$child"
	echo "$child $start" >"$dir/process"
	wait "$child"
	code=$?
	# A signal to this shell ends the wait, not the program.
	while kill -0 "$child" 2>/dev/null; do
		wait "$child"
		code=$?
	done
	echo "$child $code" >"$dir/ended"
	child=
	held || exit "$code"
done
