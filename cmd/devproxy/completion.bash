# Replaces a function of the bash-completion package: it splits the line into the words
# that the shell reads, since readline splits at = and : as well.
__devproxy_words()
{
    local i word= line=${COMP_LINE}
    words=() cword=0
    for ((i = 0; i < ${#COMP_WORDS[@]}; i++)); do
        # A word that follows the one before without a space is part of it.
        if ((i > 0)) && [[ ${line} != [[:space:]]* && ${#words[@]} -gt 0 ]]; then
            words[${#words[@]}-1]+=${COMP_WORDS[i]}
        else
            words+=("${COMP_WORDS[i]}")
        fi
        line=${line#"${line%%[![:space:]]*}"}
        line=${line#"${COMP_WORDS[i]}"}
        ((i == COMP_CWORD)) && cword=$((${#words[@]} - 1))
    done
    cur=${words[cword]}
    prev=
    ((cword > 0)) && prev=${words[cword - 1]}
    return 0
}

__devproxy_folders()
{
    if declare -F _filedir >/dev/null; then
        _filedir -d
        return
    fi
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -d -- "${cur}"))
}
