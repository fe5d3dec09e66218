#!/bin/sh
# Builds quire and installs it; see usage below, or ./install.sh --help.
# Needs Go and git, and nothing else. POSIX sh.
set -eu

usage() {
  cat <<'EOF'
usage: ./install.sh [--prefix DIR] [--write-ahead] [--no-boot] [REPO.git ...]
       ./install.sh --uninstall [--prefix DIR] [REPO.git ...]
       ./install.sh --demo [--keep]

Builds quire, installs it (as root under /usr/local, else under ~/.local), writes
a configuration if there is none, and puts quire's hooks into the repositories.

  --prefix DIR    install under DIR
  --write-ahead   record each push before git moves a ref, too (pre-receive)
  --no-boot       write no systemd units, which go on with interrupted work at boot
                  and look after mirrors every six hours
  --uninstall     put the repositories' own hooks back, and remove the programs;
                  configuration, runs and logs stay
  --demo          show a push, its jobs and a mirror, and leave nothing behind
  --keep          with --demo: leave its directory to look at
EOF
}

say() { printf '%s\n' "$*"; }
die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

cd "$(dirname "$0")"
caller=$OLDPWD
min_git=2.31

# at_least A B: is version A at least B? Compares major and minor.
at_least() {
  a_major=${1%%.*} a_rest=${1#*.} a_minor=${a_rest%%[!0-9]*}
  b_major=${2%%.*} b_rest=${2#*.} b_minor=${b_rest%%[!0-9]*}
  [ "$a_major" -gt "$b_major" ] || { [ "$a_major" -eq "$b_major" ] && [ "${a_minor:-0}" -ge "${b_minor:-0}" ]; }
}

# how_to_get PACKAGE-OF-DEBIAN FEDORA ARCH ALPINE: the command of this system.
how_to_get() {
  # shellcheck source=/dev/null
  like=$(. /etc/os-release 2>/dev/null && echo "${ID:-} ${ID_LIKE:-}") || like=
  case " $like " in
  *" debian "* | *" ubuntu "*) say "apt install $1" ;;
  *" fedora "* | *" rhel "*) say "dnf install $2" ;;
  *" arch "*) say "pacman -S $3" ;;
  *" alpine "*) say "apk add $4" ;;
  *) say "your system's package $1" ;;
  esac
}

need_git() {
  get=$(how_to_get git git git git)
  command -v git >/dev/null 2>&1 || die "quire needs git $min_git or newer, and there is none; install it ($get)"
  have=$(git version)
  have=${have#git version }
  at_least "$have" "$min_git" ||
    die "quire needs git $min_git or newer, and this is $have; install a newer one ($get, if it has one, else from https://git-scm.com)"
}

need_go() {
  want=$(sed -n 's/^go \([0-9][0-9.]*\).*/\1/p' go.mod)
  get=$(how_to_get golang golang go go)
  command -v go >/dev/null 2>&1 ||
    die "quire needs Go ${want%.0} or newer to be built, and there is none; install it from https://go.dev/dl ($get, if that is new enough)"
  # local: the version that is installed, not one that it would download.
  have=$(GOTOOLCHAIN=local go env GOVERSION 2>/dev/null) || have=
  case $have in
  go[0-9]*) have=${have#go} ;;
  devel*) return 0 ;;
  *) have=0.0 ;;
  esac
  at_least "$have" "$want" ||
    die "quire needs Go ${want%.0} or newer to be built, and this is ${have}; install a newer one from https://go.dev/dl ($get, if that is new enough)"
}

# build DIR PACKAGE...: the programs, static, into DIR.
build() {
  out=$1
  shift
  version=$(git describe --tags --always --dirty 2>/dev/null) || version=unknown
  CGO_ENABLED=0 GOTOOLCHAIN=local go build -trimpath -ldflags "-s -w -X main.version=$version" -o "$out/" "$@" ||
    die "the build failed; what is wrong stands above (modules are fetched through $(go env GOPROXY))"
}

# put FILE TARGET: install a program so that one that runs is never half written.
put() {
  mkdir -p "$(dirname "$2")"
  cp "$1" "$2.new.$$"
  chmod 755 "$2.new.$$"
  mv -f "$2.new.$$" "$2"
}

owner() { stat -c %U "$1"; }
home_of() { getent passwd "$1" 2>/dev/null | cut -d: -f6; }

# as USER COMMAND: run a shell command as that user; variables are passed on.
as() {
  if [ "$1" = "$me" ]; then sh -c "$2"; else su -s /bin/sh "$1" -c "$2"; fi
}

# write_config FILE USER: the commented example, private to its user, who also
# writes it: root does not follow links in somebody's home directory.
# shellcheck disable=SC2016 # it is that user's shell that expands
write_config() {
  export target="$1"
  if as "$2" '[ -e "$target" ]'; then
    say "configuration  $1 (kept as it is)"
    return 0
  fi
  as "$2" 'umask 077 && mkdir -p "$(dirname "$target")" && cat >"$target.new" && mv -f "$target.new" "$target"' <config.example.toml ||
    die "the configuration $1 cannot be written by $2; the programs are installed"
  say "configuration  $1"
}

# unit_text USER TARGET: work that a crash or power cut left goes on at boot, and
# what mirrors are owed is delivered. The worker leaves when all is done.
unit_text() {
  say '[Unit]
Description=quire: go on with interrupted pushes, and look after mirrors'
  [ -z "$1" ] || say 'Wants=network-online.target
After=network-online.target docker.service'
  say '
[Service]
Type=oneshot'
  [ -z "$1" ] || say "User=$1"
  [ -z "${QUIRE_CONFIG:-}" ] || say "Environment=\"QUIRE_CONFIG=$(absolute "$QUIRE_CONFIG")\""
  say "ExecStart=\"$prefix/bin/quire\" worker
TimeoutStartSec=infinity
Delegate=yes

[Install]
WantedBy=$2"
}

# timer_text: without it, only a push would wake what looks once a day whether
# the mirrors are still what quire put there.
timer_text() {
  say '[Unit]
Description=quire: look after mirrors also when nobody pushes

[Timer]
OnCalendar=00/6:00
RandomizedDelaySec=30min
Persistent=true

[Install]
WantedBy=timers.target'
}

# boot_unit USER: a unit and its timer for the user whose pushes these are.
boot_unit() {
  if [ "$(id -u)" -eq 0 ]; then
    unit=quire-worker-$1.service
    path=$unit_dir/system/$unit
    text=$(unit_text "$1" multi-user.target)
    control='systemctl'
  else
    unit=quire-worker.service
    path=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/$unit
    text=$(unit_text '' default.target)
    control='systemctl --user'
  fi
  [ "$boot" = yes ] && [ -d /run/systemd/system ] || return 0
  mkdir -p "$(dirname "$path")"
  timer=${unit%.service}.timer
  printf '%s\n' "$text" >"$path"
  timer_text >"${path%.service}.timer"
  # Without a session bus (a plain ssh login, su) enabling must be done later.
  if $control daemon-reload 2>/dev/null && $control enable -q "$unit" 2>/dev/null && $control enable -q --now "$timer" 2>/dev/null; then
    say "at boot        $path, and every six hours"
  else
    say "at boot        $path; switch it on with: $control enable $unit && $control enable --now $timer"
  fi
  [ "$(id -u)" -eq 0 ] || loginctl show-user "$me" -p Linger 2>/dev/null | grep -q yes ||
    say "               for boot without a login: loginctl enable-linger $me"
}

# absolute PATH, as the caller meant it
absolute() {
  case $1 in
  /*) say "$1" ;;
  *) say "$caller/$1" ;;
  esac
}

prefix='' mode=install write_ahead='' keep=''
unit_dir=/etc/systemd boot=yes
me=$(id -un)
while [ $# -gt 0 ]; do
  case $1 in
  --prefix)
    [ $# -gt 1 ] || die "--prefix wants a directory"
    prefix=$2
    shift
    ;;
  --prefix=*) prefix=${1#--prefix=} ;;
  --write-ahead) write_ahead=--write-ahead ;;
  --no-boot) boot=no ;;
  --uninstall) mode=uninstall ;;
  --demo) mode=demo ;;
  --keep) keep=--keep ;;
  -h | --help)
    usage
    exit 0
    ;;
  --)
    shift
    break
    ;;
  -*)
    usage >&2
    die "there is no option $1"
    ;;
  *) break ;;
  esac
  shift
done
for arg in "$@"; do
  case $arg in -*) die "options come before repositories: $arg" ;; esac
done

if [ -z "$prefix" ]; then
  if [ "$(id -u)" -eq 0 ]; then prefix=/usr/local; else prefix=${HOME:?}/.local; fi
fi
prefix=$(absolute "$prefix")
need_git

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

if [ "$mode" = demo ]; then
  [ $# -eq 0 ] || die "--demo takes no repository"
  need_go
  mkdir -p "$work/bin" "$work/libexec/quire"
  build "$work/bin" ./cmd/quire ./cmd/demo
  build "$work/libexec/quire" ./hooks/post-receive ./hooks/pre-receive
  [ -z "$keep" ] || trap - EXIT # its programs stay too
  status=0
  "$work/bin/demo" $keep || status=$? # ctrl-C reaches it too, and it cleans up
  exit "$status"
fi

# One argument a line would break at odd names, so repositories stay in "$@".
n=$#
while [ "$n" -gt 0 ]; do
  path=$(absolute "$1")
  shift
  set -- "$@" "$path"
  n=$((n - 1))
done

if [ "$mode" = uninstall ]; then
  failed=0
  if [ $# -gt 0 ]; then
    [ -x "$prefix/bin/quire" ] || die "$prefix/bin/quire is not there; was quire installed under another --prefix?"
    "$prefix/bin/quire" uninstall "$@" || failed=1
  fi
  [ "$failed" -eq 0 ] || die "the programs stay, since a repository still uses them"
  if [ "$(id -u)" -eq 0 ]; then
    for path in "$unit_dir"/system/quire-worker-*.service; do
      if [ -e "$path" ] && grep -qF "ExecStart=\"$prefix/bin/quire\" " "$path"; then
        unit=${path##*/}
        systemctl disable -q --now "${unit%.service}.timer" 2>/dev/null || :
        systemctl disable -q "$unit" 2>/dev/null || :
        rm -f "$path" "${path%.service}.timer"
      fi
    done
  else
    path=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/quire-worker.service
    if [ -e "$path" ] && grep -qF "ExecStart=\"$prefix/bin/quire\" " "$path"; then
      systemctl --user disable -q --now quire-worker.timer 2>/dev/null || :
      systemctl --user disable -q quire-worker.service 2>/dev/null || :
      rm -f "$path" "${path%.service}.timer"
    fi
  fi
  rm -f "$prefix/bin/quire" "$prefix/libexec/quire/post-receive" "$prefix/libexec/quire/pre-receive" "$prefix/libexec/quire/quire-inside"
  rmdir "$prefix/libexec/quire" 2>/dev/null || :
  say "removed        $prefix/bin/quire, $prefix/libexec/quire"
  say "kept           configuration, runs and logs"
  [ $# -gt 0 ] || say "note           a repository that still has the hook now runs nothing when it is pushed to"
  exit 0
fi

need_go
if ! mkdir -p "$prefix/bin" 2>/dev/null || [ ! -w "$prefix/bin" ]; then
  die "$prefix/bin is not writable; become root, or choose another place with --prefix"
fi
mkdir -p "$work/bin" "$work/libexec"
build "$work/bin" ./cmd/quire
build "$work/libexec" ./hooks/post-receive ./hooks/pre-receive ./internal/executor/docker/inside/quire-inside
put "$work/bin/quire" "$prefix/bin/quire"
put "$work/libexec/post-receive" "$prefix/libexec/quire/post-receive"
put "$work/libexec/pre-receive" "$prefix/libexec/quire/pre-receive"
put "$work/libexec/quire-inside" "$prefix/libexec/quire/quire-inside"
say "programs       $prefix/bin/quire, $prefix/libexec/quire"

# The configuration is the pushers' user's: hooks run as whom git runs as, which
# is seldom root even where root installs.
users=$me
if [ "$(id -u)" -eq 0 ] && [ $# -gt 0 ]; then
  users=$(for repo in "$@"; do [ ! -e "$repo" ] || owner "$repo"; done | sort -u)
fi
for user in $users; do
  if [ -n "${QUIRE_CONFIG:-}" ]; then
    write_config "$QUIRE_CONFIG" "$user"
  elif [ "$user" = root ]; then
    write_config /etc/quire/config.toml root
  elif [ "$user" = "$me" ]; then
    write_config "${XDG_CONFIG_HOME:-$HOME/.config}/quire/config.toml" "$user"
  else
    home=$(home_of "$user")
    [ -n "$home" ] || die "the user $user, to whom a repository belongs, has no home directory for a configuration; name a file in QUIRE_CONFIG"
    write_config "$home/.config/quire/config.toml" "$user"
  fi
  boot_unit "$user"
done

if [ $# -gt 0 ]; then
  # shellcheck disable=SC2086 # empty or one word
  "$prefix/bin/quire" install $write_ahead "$@"
else
  say "next           quire install /path/to/repository.git"
fi
case ":$PATH:" in
*":$prefix/bin:"*) ;;
*) say "PATH           add $prefix/bin to it" ;;
esac
say "completion     quire completion bash --help (also zsh, fish)"
