# The scripts that measure source this file. It runs `koala evaluate` again where the machine was busy.
# shellcheck shell=bash

# The files of the evaluations that stayed disturbed.
disturbed=()

# evaluate FILE OPTION...: runs "$koala evaluate OPTION..." and writes its report to FILE. Koala reports no speed of a
# busy machine (exit code 1); then the same evaluation is made again after a pause, at most three times in all. One that
# stays disturbed does not end the script, since the machine may be quiet for the next one.
evaluate() {
    local file=$1 attempt status
    shift
    for attempt in 1 2 3; do
        rm -f "$file"
        status=0
        "$koala" evaluate "$@" --out "$file" || status=$?
        [[ $status != 0 ]] || return 0
        # Only a busy machine is a reason to measure again.
        [[ $status == 1 ]] && grep -q '"disturbed": true' "$file" 2>/dev/null || return "$status"
        [[ $attempt == 3 ]] || sleep "${PAUSE:-60}"
    done
    disturbed+=("$file")
}

# Says at the end of a script which evaluations stayed disturbed; fails if there are any.
all_undisturbed() {
    local file
    for file in "${disturbed[@]}"; do echo "$file: the machine was too busy, three times" >&2; done
    [[ ${#disturbed[@]} == 0 ]]
}
