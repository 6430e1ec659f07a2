#!/bin/sh
# Runs a compiler, keeps what ptxas reports of each kernel (registers, stack, spills) as OBJECT.ptxas beside the object,
# and hands on all else that it says. Usage: keep_report.sh COMPILER ARGUMENT... -o OBJECT ...
for argument; do
  [ "$previous" = -o ] && object=$argument
  previous=$argument
done
said=$object.said
"$@" 2>"$said"
status=$?
about='^ptxas info|bytes stack frame'
grep -E "$about" "$said" >"$object.ptxas"
grep -Ev "$about" "$said" >&2
rm -f "$said"
exit $status
