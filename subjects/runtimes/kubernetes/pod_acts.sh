# What the guard and the agent do alike. Nothing here starts a program where the shell itself suffices.

# Seconds since the boot, into $now: no clock that somebody sets.
seconds() {
	read -r now _ </proc/uptime
	now=${now%%.*}
}

# Whether what the file $1 tells of has had its time. Its first word is when that is over.
over() {
	[ -s "$dir/$1" ] || return 1
	read -r until _ <"$dir/$1"
	[ "$now" -ge "${until:-0}" ]
}

# Of the process $1: its state and its start, in ticks since the boot.
look() {
	state= start=
	read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
	set -- ${stat##*) }
	state=$1 start=${20}
}

# Whether the process $1 is the one that started at $2, and has not ended.
is() {
	look "$1" && [ "$start" = "$2" ] && [ "$state" != Z ] && [ "$state" != X ]
}

# Rules of ours are those of the priorities 77 and 78: nothing that leaves the pod finds a way.
open_network() {
	while ip rule del pref 77 2>/dev/null; do :; done
	while ip rule del pref 78 2>/dev/null; do :; done
	rm -f "$dir/net"
}

# close_network SCOPE [PEER...]: peers: nothing gets to them; clients: to nobody but them; both: to nobody.
close_network() {
	scope=$1
	shift
	for peer in "$@"; do
		case $scope in
		peers) ip rule add pref 77 to "$peer" type blackhole || return 1 ;;
		clients) ip rule add pref 77 to "$peer" lookup main || return 1 ;;
		esac
	done
	[ "$scope" = peers ] || ip rule add pref 78 type blackhole
}
