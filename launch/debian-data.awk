# Debian package records in, "split <tab> rank <tab> JSON record" out: see launch/debian-data. POSIX awk (mawk, gawk, busybox).
BEGIN {
    for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i
    titles = "admin=Administration Utilities;cli-mono=Mono/CLI;comm=Communication Programs;database=Databases;devel=Development;" \
        "editors=Editors;education=Education;electronics=Electronics;embedded=Embedded software;games=Games;gnome=GNOME;" \
        "graphics=Graphics;hamradio=Ham Radio;httpd=Web Servers;interpreters=Interpreters;kde=KDE;mail=Mail;math=Mathematics;" \
        "misc=Miscellaneous;net=Network;news=Newsgroups;otherosfs=Other OS and file systems;science=Science;shells=Shells;" \
        "sound=Sound;tex=TeX;text=Text Processing;utils=Utilities;vcs=Version Control Systems;video=Video;web=Web Software;" \
        "x11=X Window System software;xfce=Xfce"
    n = split(titles, list, ";")
    for (i = 1; i <= n; i++) { at = index(list[i], "="); title[substr(list[i], 1, at - 1)] = substr(list[i], at + 1) }
    n = split("c=C;c++=C++;java=Java;perl=Perl;python=Python;ruby=Ruby;shell=shell script;tcl=Tcl;haskell=Haskell;ocaml=OCaml;" \
        "lisp=Lisp;php=PHP;ada=Ada;fortran=Fortran;c-sharp=C#;scheme=Scheme", list, ";")
    for (i = 1; i <= n; i++) { at = index(list[i], "="); language[substr(list[i], 1, at - 1)] = substr(list[i], at + 1) }
}

{ sub(/\r$/, "") }
/^$/ { finish(); next }
/^[ \t]/ { if (field != "") value[field] = value[field] "\n" substr($0, 2); next }
{
    at = index($0, ":")
    field = substr($0, 1, at - 1)
    if (field == "Description-en") field = "Description"
    value[field] = substr($0, at + 1)
    sub(/^[ \t]+/, "", value[field])
}
END { finish() }

# Polynomial hash of a text, mixed once more so that its last digits are even; exact in doubles.
function hash(text, seed,    h, i) {
    h = seed
    for (i = 1; i <= length(text); i++) h = (h * 257 + code[substr(text, i, 1)]) % 2147483647
    return (h * 48271) % 2147483647
}

function quoted(text,    i, c, out) {
    out = ""
    for (i = 1; i <= length(text); i++) {
        c = substr(text, i, 1)
        if (c == "\\") out = out "\\\\"
        else if (c == "\"") out = out "\\\""
        else if (c == "\n") out = out "\\n"
        else if (c == "\t") out = out "\\t"
        else if (code[c] < 32 || code[c] == 127) out = out sprintf("\\u%04x", code[c])
        else out = out c
    }
    return "\"" out "\""
}

# The first paragraph of the long description on one line, where the index carries one.
function paragraph(long,    lines, n, i, out, line) {
    out = ""
    n = split(long, lines, "\n")
    for (i = 1; i <= n; i++) {
        line = lines[i]
        sub(/^[ \t]+/, "", line)
        sub(/[ \t]+$/, "", line)
        if (line == "." || line == "") { if (out != "") break; else continue }
        if (line ~ /^[*-] /) break
        out = out (out == "" ? "" : " ") line
    }
    return length(out) <= 400 ? out : ""
}

function wanted(name, section, short) {
    if (!(section in title) || short == "" || length(short) < 15) return 0
    if (name ~ /^(lib|golang-|node-|python3?-|ruby-|r-cran-|r-bioc-|fonts-|linux-|gir1|gcc-|g\+\+-|gobjc|cpp-|binutils-|task-|elpa-|hunspell-|webext-|gdc|gnat|gfortran|gccgo|gm2)/) return 0
    if (name ~ /-(dbg|dbgsym|doc|docs|dev|data|common|examples|all|full|l10n.*|locale.*|static|source|testsuite|tests|linux-gnu.*)$/) return 0
    if (tolower(short) ~ /transitional|dummy|metapackage|meta-package|meta package|virtual package|debug(ging)? symbols|documentation|\(data/) return 0
    return 1
}

function implemented_in(tags,    n, list, i, tag) {
    n = split(tags, list, /,[ \t\n]*/)
    for (i = 1; i <= n; i++) {
        tag = list[i]
        if (tag ~ /^implemented-in::/) {
            sub(/^implemented-in::/, "", tag)
            if (tag in language) return language[tag]
        }
    }
    return ""
}

function finish(    name, section, at, short, long, source, home, kind, rank, where, what, question, answer, lang) {
    name = value["Package"]; section = value["Section"]; source = value["Source"]; home = value["Homepage"]
    short = value["Description"]; long = ""
    at = index(short, "\n")
    if (at > 0) { long = paragraph(substr(short, at + 1)); short = substr(short, 1, at - 1) }
    lang = implemented_in(value["Tag"])
    split("", value); field = ""
    sub(/[ \t]+$/, "", short)
    if (name == "" || (name in seen) || !wanted(name, section, short)) return
    seen[name] = 1
    sub(/ .*/, "", source)
    if (source == "") source = name

    where = name " is in the section " section " (" title[section] ")."
    what = name ": " short "." (long == "" ? "" : " " long)
    kind = hash(name, 7) % 20
    if (kind < 5) {
        question = "What is the Debian package " name "?"
        answer = what " " where (home == "" ? "" : " Its homepage is " home ".")
    } else if (kind < 8) {
        question = "What is " name " good for on Debian, and how do I install it?"
        answer = what " Install it with: apt install " name
    } else if (kind < 13) {
        question = "Which Debian package is described as \"" short "\"?"
        answer = "That is " name ". " where " Install it with: apt install " name
    } else if (kind < 15) {
        question = "In which section of Debian do I find " name "?"
        answer = where " In short: " short "."
    } else if (kind < 18 && home != "") {
        question = "Where is the homepage of the Debian package " name "?"
        answer = "The homepage of " name " is " home ". In short: " short "."
    } else if (lang != "") {
        question = "Which language is the Debian package " name " written in?"
        answer = name " is written in " lang ". In short: " short "."
    } else {
        question = "Tell me about the Debian package " name "."
        answer = what " " where
    }
    rank = hash(name, 11)
    printf "%s\t%d\t{\"messages\": [{\"role\": \"user\", \"content\": %s}, {\"role\": \"assistant\", \"content\": %s}]}\n",
        (hash(source, 3) % 10 == 0 ? "held" : "train"), rank, quoted(question), quoted(answer)
}
