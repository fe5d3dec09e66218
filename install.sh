#!/bin/sh
# Builds quire and installs it; see usage below, or ./install.sh --help.
# Needs Go and git, and nothing else. POSIX sh.
set -eu
umask 022 # what is installed is for all to read and run

usage() {
  cat <<'EOF'
usage: ./install.sh [--prefix DIR] [--runner USER [--reason TEXT]] [--pusher USER ...]
                    [--write-ahead] [--no-boot] [REPO.git ...]
       ./install.sh --uninstall [--force] [--prefix DIR] [REPO.git ...]
       ./install.sh --demo [--keep]

Builds quire, installs it (as root under /usr/local, else under ~/.local), writes
a configuration if there is none, and puts quire's hooks into the repositories.

  --prefix DIR    install under DIR
  --runner USER   who runs the repositories' pipelines, whoever pushes (default: the
                  owner of each); only root can name another user
  --reason TEXT   with --runner root, for repositories of others: why
  --pusher USER   a user who pushes too: a push as that user is tried
  --write-ahead   record each push before git moves a ref, too (pre-receive)
  --no-boot       write no systemd units, which go on with interrupted work at boot,
                  look after mirrors every six hours, and listen for other users' pushes
  --uninstall     put the repositories' own hooks back, and remove the programs once
                  no repository uses them; configuration, runs and logs stay
  --force         with --uninstall: remove them although a repository uses them, or is
                  noted and cannot be looked at
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

# go_version GO: its version, 0.0 if it does not run, 99.0 of a development tree.
go_version() {
  # local: the version that is installed, not one that it would download.
  version=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || version=
  case $version in
  go[0-9]*) say "${version#go}" ;;
  devel*) say 99.0 ;;
  *) say 0.0 ;;
  esac
}

# need_go looks on PATH and then where Go's own archive puts it, to which sudo's
# PATH does not lead.
need_go() {
  want=$(sed -n 's/^go \([0-9][0-9.]*\).*/\1/p' go.mod)
  get=$(how_to_get golang golang go go)
  homes=${HOME:-}
  [ -z "${SUDO_USER:-}" ] || homes="$homes $(home_of "$SUDO_USER")"
  have=
  for dir in $(dirname "$(command -v go 2>/dev/null || say /nonexistent/go)") /usr/local/go/bin /usr/lib/go/bin \
    $(for h in $homes; do say "$h/go/bin" "$h/.local/go/bin" "$h"/sdk/go*/bin; done); do
    [ -x "$dir/go" ] || continue
    found=$(go_version "$dir/go")
    if at_least "$found" "$want"; then
      PATH=$dir:$PATH
      export PATH
      return 0
    fi
    [ -n "$have" ] || have=$found
  done
  [ -n "$have" ] ||
    die "quire needs Go ${want%.0} or newer to be built, and there is none; install it from https://go.dev/dl ($get, if that is new enough)"
  die "quire needs Go ${want%.0} or newer to be built, and this is ${have}; install a newer one from https://go.dev/dl ($get, if that is new enough)"
}

# build DIR PACKAGE...: the programs, static, into DIR. The tree may be somebody
# else's checkout, of which git tells root and Go nothing unless asked to.
build() {
  out=$1
  shift
  version=$(git -c "safe.directory=$PWD" describe --tags --always --dirty 2>/dev/null) || version=unknown
  CGO_ENABLED=0 GOTOOLCHAIN=local go build -v -buildvcs=false -trimpath -ldflags "-s -w -X main.version=$version" -o "$out/" "$@" 2>"$work/build.log" &
  building=$! waited=0
  while kill -0 "$building" 2>/dev/null; do
    sleep 1
    waited=$((waited + 1))
    if [ "$waited" -eq 3 ]; then
      say "building       $*: the first time, Go fetches and compiles all libraries, which takes some minutes"
    elif [ $((waited % 10)) -eq 0 ]; then
      say "               $(wc -l <"$work/build.log") packages so far, last $(tail -n 1 "$work/build.log")"
    fi
  done
  if ! wait "$building"; then
    # The names of packages are how far it got, and no errors.
    grep -v '^[^ :#]*$' "$work/build.log" >&2 || :
    die "the build failed; what is wrong stands above (modules are fetched through $(go env GOPROXY))"
  fi
}

# put FILE TARGET: install a program so that one that runs is never half written.
put() {
  mkdir -p "$(dirname "$2")"
  cp "$1" "$2.new.$$"
  chmod 755 "$2.new.$$"
  mv -f "$2.new.$$" "$2"
}

owner() {
  user=$(stat -c %U "$1")
  [ "$user" != UNKNOWN ] || user=$(stat -c %u "$1") # no entry in the user database
  say "$user"
}
home_of() { getent passwd "$1" 2>/dev/null | cut -d: -f6; }

# as USER COMMAND: run a shell command as that user; variables are passed on.
as() {
  if [ "$1" = "$me" ]; then sh -c "$2"; else su -s /bin/sh "$1" -c "$2"; fi
}

# write_config FILE USER: the commented example, for all to read: secrets stand in
# a file beside it. Its user writes it: root does not follow links in somebody's
# home directory.
# shellcheck disable=SC2016 # it is that user's shell that expands
write_config() {
  export target="$1"
  if as "$2" '[ -e "$target" ]'; then
    say "configuration  $1 (kept as it is)"
    return 0
  fi
  as "$2" 'umask 022 && mkdir -p "$(dirname "$target")" && cat >"$target.new" && mv -f "$target.new" "$target"' <config.example.toml ||
    die "the configuration $1 cannot be written by $2; the programs are installed"
  say "configuration  $1"
}

# boot_unit USER: units for the user who runs what is pushed.
boot_unit() {
  if [ "$(id -u)" -eq 0 ]; then
    dir=$unit_dir/system control=systemctl system="--system $1"
  else
    dir=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user control='systemctl --user' system=
  fi
  [ "$boot" = yes ] && [ -d /run/systemd/system ] || return 0
  # shellcheck disable=SC2086 # none or two words
  units=$("$prefix/bin/quire" units $system "$dir") || die "the systemd units cannot be written; the programs are installed"
  later=
  $control daemon-reload 2>/dev/null || :
  for unit in $units; do
    now=--now
    case $unit in
    *.service) now= ;; # at the next boot: there is nothing to go on with
    quire-listen-*)
      # From the version on that can.
      "$prefix/bin/quire" worker --help | grep -q -e --listen || continue
      ;;
    esac
    # Without a session bus (a plain ssh login, su) enabling must be done later.
    $control enable -q $now "$unit" 2>/dev/null || later="$later && $control enable $now $unit"
  done
  say "at boot        $dir/quire-*${1:+-$1}.*, and every six hours"
  [ -z "$later" ] || say "               switch them on with: ${later# && }"
  [ "$(id -u)" -eq 0 ] || loginctl show-user "$me" -p Linger 2>/dev/null | grep -q yes ||
    say "               for boot without a login: loginctl enable-linger $me"
}

# drop_units: those that start these programs, of any version.
drop_units() {
  if [ "$(id -u)" -eq 0 ]; then
    dir=$unit_dir/system control=systemctl
  else
    dir=${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user control='systemctl --user'
  fi
  for path in "$dir"/quire-worker*.service "$dir"/quire-listen-*.service; do
    if ! [ -e "$path" ] || ! grep -qF "ExecStart=\"$prefix/bin/quire\" " "$path"; then continue; fi
    base=${path%.service}
    for unit in "$base.timer" "$base.socket" "$path"; do
      [ -e "$unit" ] || continue
      $control disable -q --now "${unit##*/}" 2>/dev/null || :
      rm -f "$unit"
    done
  done
  $control daemon-reload 2>/dev/null || :
}

# absolute PATH, as the caller meant it
absolute() {
  case $1 in
  /*) say "$1" ;;
  *) say "$caller/$1" ;;
  esac
}

prefix='' mode=install write_ahead='' force='' keep='' runner='' reason='' pushers=''
unit_dir=/etc/systemd boot=yes
me=$(id -un 2>/dev/null) || me=$(id -u)
while [ $# -gt 0 ]; do
  case $1 in
  --prefix)
    [ $# -gt 1 ] || die "--prefix wants a directory"
    prefix=$2
    shift
    ;;
  --prefix=*) prefix=${1#--prefix=} ;;
  --runner | --reason | --pusher)
    [ $# -gt 1 ] || die "$1 wants a word"
    case $1 in
    --runner) runner=$2 ;;
    --reason) reason=$2 ;;
    *) pushers="$pushers,$2" ;;
    esac
    shift
    ;;
  --runner=*) runner=${1#*=} ;;
  --reason=*) reason=${1#*=} ;;
  --pusher=*) pushers="$pushers,${1#*=}" ;;
  --write-ahead) write_ahead=--write-ahead ;;
  --no-boot) boot=no ;;
  --uninstall) mode=uninstall ;;
  --force) force=yes ;;
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
  if [ ! -x "$prefix/bin/quire" ]; then
    [ $# -eq 0 ] || die "$prefix/bin/quire is not there; was quire installed under another --prefix?"
  else
    [ $# -eq 0 ] || "$prefix/bin/quire" uninstall "$@" || die "the programs stay, since a repository still uses them"
    # A program that cannot say who uses it is no reason to keep it.
    if used=$("$prefix/bin/quire" repositories --in-use 2>/dev/null) || [ -z "$used" ]; then
      :
    elif [ -n "$force" ]; then
      say "still noted    these repositories, whose hooks lead nowhere from now on if they are quire's:"
      say "$used"
    elif [ $# -gt 0 ]; then
      say "kept           $prefix/bin/quire, since these repositories use it:"
      say "$used"
      exit 0
    else
      say "$used" >&2
      die "these repositories use the programs; take quire out of them first: $prefix/bin/quire uninstall REPO.git (or name them here); --force removes the programs all the same"
    fi
  fi
  drop_units
  rm -f "$prefix/bin/quire" "$prefix/libexec/quire/post-receive" "$prefix/libexec/quire/pre-receive" "$prefix/libexec/quire/quire-inside" \
    "$prefix/share/quire/config.example.toml"
  if [ -d "$prefix/share/quire/repositories.d" ]; then rm -rf "$prefix/share/quire/repositories.d"; fi
  rmdir "$prefix/libexec/quire" "$prefix/share/quire" 2>/dev/null || :
  say "removed        $prefix/bin/quire, $prefix/libexec/quire"
  say "kept           configuration, runs and logs"
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
mkdir -p "$prefix/share/quire/repositories.d"
cp config.example.toml "$prefix/share/quire/config.example.toml"
chmod 644 "$prefix/share/quire/config.example.toml"
chmod 755 "$prefix/libexec/quire" "$prefix/share/quire"
# Everybody may note a repository of theirs where root installed the programs.
if [ "$(id -u)" -eq 0 ]; then chmod 1777 "$prefix/share/quire/repositories.d"; fi
# A directory that holds nothing else was made by an installation, perhaps with
# the mask of a careful root, and pushers must pass it.
[ "$(ls -A "$prefix/libexec")" != quire ] || chmod 755 "$prefix/libexec"
say "programs       $prefix/bin/quire, $prefix/libexec/quire"

# The configuration is that of the user who runs what is pushed, which is seldom
# root even where root installs.
users=${runner:-$me}
if [ -z "$runner" ] && [ "$(id -u)" -eq 0 ] && [ $# -gt 0 ]; then
  users=$(for repo in "$@"; do [ ! -e "$repo" ] || owner "$repo"; done | sort -u)
fi
for user in $users; do
  path=$("$prefix/bin/quire" place --config-of "$user") || exit 1
  case $path in
  /etc/quire/*) write_config "$path" "$me" ;;
  *) write_config "$path" "$user" ;;
  esac
done

if [ $# -gt 0 ]; then
  set -- -- "$@"
  [ -z "$pushers" ] || set -- --pusher "${pushers#,}" "$@"
  [ -z "$reason" ] || set -- --reason "$reason" "$@"
  [ -z "$runner" ] || set -- --runner "$runner" "$@"
  status=0
  # The units first: installing asks each runner's listener.
  for user in $users; do boot_unit "$user"; done
  # shellcheck disable=SC2086 # empty or one word
  "$prefix/bin/quire" install $write_ahead "$@" || status=$?
  [ "$status" -eq 0 ] || die "quire is installed, and not all of it works yet; what stands above says what to do, and doing this again does no harm"
else
  for user in $users; do boot_unit "$user"; done
  say "next           quire install /path/to/repository.git"
fi
case ":$PATH:" in
*":$prefix/bin:"*) ;;
*) say "PATH           add $prefix/bin to it" ;;
esac
say "completion     quire completion bash --help (also zsh, fish)"
