# shellcheck shell=bash
# The runs of a sweep from its grid and its pairs, as the lines of OUT/sweep.jobs: "pair/name TAB A TAB B TAB flags".
# Part of sweep.sh, which brings fail, usage, absolute and words.

# What a file's name ends in where it is a picture; decides only between several A.* of one pair.
PICTURE='@(png|jpg|jpeg|jpe|jfif|webp|avif|heic|heif|gif|bmp|tif|tiff|jp2|jxl|tga|ppm|pgm|pbm|pnm)'
shopt -s extglob
# What a name of a run does not hold: all of ASCII but letters, digits and . _ -
SPECIAL=$'] \t!"#$%&\'()*+,/:;<=>?@[\\^`{|}~'

note() { printf 'note: %s\n' "$*" >&2; }

trim() { local s=${1#"${1%%[![:space:]]*}"}; printf '%s\n' "${s%"${s##*[![:space:]]}"}"; }

# plain TEXT: fail where a name has a tab, a newline or the like, which would end it in a list.
plain() { [[ $1 != *[[:cntrl:]]* ]] || fail "$(printf %q "$1"): a tab or other control character in a name; rename it"; }

# text FILE: its lines as UTF-8 without a byte order mark, each ended by a newline alone.
text() {
    local start
    [[ -f $1 && -r $1 ]] || fail "$1: no such file, or it cannot be read"
    start=$(head -c 3 -- "$1" | od -An -tx1 | tr -d ' \n')
    case $start in
        efbbbf) tail -c +4 -- "$1" ;;
        fffe* | feff*) iconv -f UTF-16 -t UTF-8 -- "$1" 2>/dev/null || fail "$1: save it as plain text in UTF-8" ;;
        *) [[ $(tr -d '\0' <"$1" | wc -c) -eq $(wc -c <"$1") ]] || fail "$1: is not text; save it as plain text in UTF-8"
            cat -- "$1" ;;
    esac | sed $'s/\r$//' | tr '\r' '\n'
}

# expand NAME FLAGS: print "name TAB flags" for every combination of the {lists} in FLAGS.
expand() {
    local name=$1 value values
    if [[ $2 =~ ^([^{}]*)\{([^{}]*)\}(.*)$ ]]; then
        local before=${BASH_REMATCH[1]} after=${BASH_REMATCH[3]}
        IFS=, read -ra values <<<"${BASH_REMATCH[2]}"
        [[ ${#values[@]} -gt 0 ]] || fail "$GRID: $name: an empty list"
        for value in "${values[@]}"; do
            value=$(trim "${value//"$TAB"/ }")
            expand "${name}_${value//["$SPECIAL"]/-}" "$before$value$after" || return
        done
    elif [[ $2 == *[{}]* ]]; then
        fail "$GRID: $name: a { without its }"
    else
        printf '%s\t%s\n' "$name" "$2"
    fi
}

settings() {
    local lines line name flags common='' number=0 rows='' double ending
    lines=$(text "$GRID") || exit
    while IFS= read -r line; do
        number=$((number + 1))
        line=$(trim "$line")
        [[ -z $line || $line == '#'* ]] && continue
        [[ $line == *:* ]] || fail "$GRID, line $number: not 'name: flags'"
        name=$(trim "${line%%:*}") flags=$(trim "${line#*:}")
        plain "$name"
        words "$flags" || fail "$GRID, line $number: a quote that does not end"
        if [[ $name == '*' ]]; then common+="$flags "; continue; fi
        # Whatever the locale, letters beyond ASCII are letters.
        [[ $name != [.-]* && -n $name && -z ${name//[!"$SPECIAL"]/} ]] ||
            fail "$GRID, line $number: '$name' is no name: letters, digits and . _ - only, a letter, digit or _ first"
        rows+=$(expand "$name" "$flags")$'\n' || exit
    done <<<"$lines"
    [[ -n $rows ]] || fail "$GRID: holds no settings"
    double=$(cut -f1 <<<"${rows%$'\n'}" | sort | uniq -d | head -n 1)
    [[ -z $double ]] || fail "$GRID: two settings would be called $double"
    ending=$(cut -f1 <<<"${rows%$'\n'}" | grep -m 1 '\.log$')
    [[ -z $ending ]] || fail "$GRID: $ending: a name must not end in .log: the logs lie beside the runs"
    while IFS=$TAB read -r name flags; do
        printf '%s\t%s%s\n' "$name" "$common" "$flags"
    done <<<"${rows%$'\n'}"
}

stem() { local base=${1##*/}; printf '%s\n' "${base%.*}"; }

# pair NAME A B: print "name TAB A TAB B", or fail where that cannot be.
pair() {
    plain "$1"; plain "$2"; plain "$3"
    [[ -n $1 && $1 != */* && $1 != @(.|..|sweep.jobs|sweep.jobs.new|sweep.lock) ]] ||
        fail "'$1' is no name for a pair: it is to be a folder in OUT"
    [[ -f $2 ]] || fail "$2: no such file"
    [[ -f $3 ]] || fail "$3: no such file"
    printf '%s\t%s\t%s\n' "$1" "$2" "$3"
}

# one_of PREFIX: print the one picture among the files PREFIX.*; nothing where there is none.
one_of() {
    local file files=() pictures=()
    for file in "$1".*; do
        [[ -f $file ]] || continue
        files+=("$file")
        shopt -s nocasematch
        # shellcheck disable=SC2053  # a pattern
        [[ ${file#"$1".} != $PICTURE ]] || pictures+=("$file")
        shopt -u nocasematch
    done
    [[ ${#files[@]} -gt 1 ]] && files=(${pictures[@]+"${pictures[@]}"})
    [[ ${#files[@]} -le 1 ]] || fail "${files[0]} and ${files[1]##*/}: which of them is it? Keep one"
    [[ ${#files[@]} -eq 0 ]] || printf '%s\n' "${files[0]}"
}

# The pairs of a folder.
pairs_in() {
    local folder=${1%/} file prefix seen=$'\n' name a b found=''
    for file in "$folder"/*/[AB].* "$folder"/*_[AB].*; do
        [[ -f $file ]] || continue
        plain "$file"
        prefix=${file%[AB].*}
        [[ $seen != *$'\n'"$prefix"$'\n'* ]] || continue
        seen+=$prefix$'\n'
        a=$(one_of "${prefix}A") && b=$(one_of "${prefix}B") || exit
        [[ -n $a ]] || { note "$b: left out: there is no picture ${prefix##*/}A.* beside it"; continue; }
        [[ -n $b ]] || { note "$a: left out: there is no picture ${prefix##*/}B.* beside it"; continue; }
        name=${prefix#"$folder/"} found=yes
        pair "${name%[/_]}" "$a" "$b"
    done
    [[ -n $found ]] || fail "$1: holds no pairs (NAME/A.png and NAME/B.png, or NAME_A.png and NAME_B.png)"
}

# The pairs of a list.
pairs_of() {
    local lines line number=0 folder name a b found=''
    folder=$(dirname -- "$(absolute "$1")")
    lines=$(text "$1") || exit
    while IFS= read -r line; do
        number=$((number + 1))
        line=$(trim "$line")
        [[ -z $line || $line == '#'* ]] && continue
        words "${line#*:}" || fail "$1, line $number: a quote that does not end; names with ' stand in \"\""
        [[ $line == *:* && ${#WORDS[@]} -eq 2 ]] || fail "$1, line $number: not 'name: A B'; names with spaces stand in \"\""
        name=$(trim "${line%%:*}") a=${WORDS[0]} b=${WORDS[1]} found=yes
        [[ $a == /* ]] || a=$folder/$a
        [[ $b == /* ]] || b=$folder/$b
        line=$(pair "$name" "$a" "$b" 2>&1) || fail "$1, line $number: ${line#error: }"
        printf '%s\n' "$line"
    done <<<"$lines"
    [[ -n $found ]] || fail "$1: holds no pairs"
}

# Print "name TAB A TAB B" for every pair the command line names.
pairs() {
    if [[ $# -eq 2 ]]; then
        plain "$1"; plain "$2"
        pair "$(stem "$1")-$(stem "$2")" "$(absolute "$1")" "$(absolute "$2")"
    elif [[ -d $1 ]]; then
        if [[ -f $1/pairs.txt ]]; then pairs_of "$1/pairs.txt"; else pairs_in "$(absolute "$1")"; fi
    elif [[ -f $1 ]]; then
        pairs_of "$1"
    else
        fail "$1: no such file or folder"
    fi
}

# list_jobs GRID OUT PAIRS...: print the lines of sweep.jobs.
list_jobs() {
    [[ $# -eq 3 || $# -eq 4 ]] || { usage >&2; exit 2; }
    local GRID=$1 all_settings all_pairs pair setting double
    [[ -n $2 ]] || fail "OUT is empty: name a folder"
    shift 2
    [[ -n $1 ]] || fail "PAIRS is empty: name two pictures, a folder or a list"
    all_settings=$(settings) || exit
    all_pairs=$(pairs "$@") || exit
    double=$(cut -f1 <<<"$all_pairs" | sort | uniq -d | head -n 1)
    [[ -z $double ]] || fail "$1: two pairs would be called $double"
    while IFS= read -r pair; do
        while IFS= read -r setting; do
            printf '%s/%s\t%s\t%s\n' "${pair%%"$TAB"*}" "${setting%%"$TAB"*}" "${pair#*"$TAB"}" "${setting#*"$TAB"}"
        done <<<"$all_settings"
    done <<<"$all_pairs"
}

make_folder() { mkdir -p -- "$1" 2>/dev/null || fail "$1: cannot be made a folder"; }

# write_jobs OUT LINES
write_jobs() { printf '%s\n' "$2" >"$1/sweep.jobs.new" && mv -- "$1/sweep.jobs.new" "$1/sweep.jobs"; }

# prepare GRID OUT PAIRS...: write OUT/sweep.jobs and print the number of runs.
prepare() {
    local lines out
    lines=$(list_jobs "$@") || exit
    out=$(absolute "$2")
    make_folder "$out"
    write_jobs "$out" "$lines" || exit
    echo $(($(wc -l <"$out/sweep.jobs")))
}
