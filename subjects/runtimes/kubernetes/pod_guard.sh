# The main program of the agent's container: undoes what a fault left once its time is over, whoever is alive.
# What was done is written down in OPERATOR_DIR before it is done, so another guard goes on where one was killed.
dir=$OPERATOR_DIR
. "$OPERATOR_SCRIPTS/pod_acts.sh"

while :; do
	seconds
	if over hold; then rm -f "$dir/hold"; fi
	if over pause; then
		read -r _ pid begin <"$dir/pause"
		if is "$pid" "$begin"; then kill -CONT "$pid"; fi
		rm -f "$dir/pause"
	fi
	if over net; then open_network; fi
	sleep 1
done
