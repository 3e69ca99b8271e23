#!/bin/sh
# supervisor.sh [--piped] FOLDER PROGRAM [ARG ...]
# Starts a program apart from whoever asked, in the manner of a container engine's shim: prints its pid,
# returns at once, and leaves behind a shell that waits for the program and keeps its exit status in
# FOLDER/exit ("PID STATUS", 128 + signal for a death by signal), whoever is there to see it.
# --piped: another process writes the log, so that a program that may write nothing can still say why. Not
# for a program that is given open files: the writer would hold them open, too.
keep() {
  "$@" </dev/null 2>&1 3>&- &
  child=$!
  echo "$child" >&3
  exec >/dev/null 2>&1 3>&-
  wait "$child"
  status=$?
  echo "$child $status" >"$folder/.exit" && mv "$folder/.exit" "$folder/exit"
}

# A database needs more open files than a person's shell is given by default.
ulimit -S -n "$(ulimit -H -n)" 2>/dev/null

exec 3>&1
if [ "$1" = --piped ]; then
  folder=$2
  shift 2
  keep "$@" | cat >>"$folder/log" 2>/dev/null 3>&- &
else
  folder=$1
  shift
  (exec >>"$folder/log" && keep "$@") &
fi
