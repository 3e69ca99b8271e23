#!/bin/sh
# keeper.sh FOLDER PROGRAM [ARG ...]
# Starts a program apart from whoever asked, in the manner of a container engine's shim: prints its pid,
# returns at once, and leaves behind a shell that waits for the program and keeps its exit status in
# FOLDER/exit ("PID STATUS", 128 + signal for a death by signal), whoever is there to see it.
folder=$1
shift
(
  "$@" </dev/null >>"$folder/log" 2>&1 &
  child=$!
  echo "$child"
  exec >/dev/null 2>&1
  wait "$child"
  status=$?
  echo "$child $status" >"$folder/.exit" && mv "$folder/.exit" "$folder/exit"
) &
