// Package jobfile is the one way in which quire's own processes touch files that
// a job could have made: the workspace, a sandbox's /tmp and home, caches. The
// supervisor and the worker run outside of every sandbox, often as root, and a
// job decides what lies under a name: a named pipe that nobody writes to, a
// device, a link to /etc/shadow that was a file a moment ago, a file of a
// terabyte, a directory a hundred thousand levels deep.
//
// The rules, which hold for every call:
//
//   - A name is resolved below a directory that quire owns and nowhere else, by
//     the kernel (openat2(2), RESOLVE_BENEATH and RESOLVE_NO_MAGICLINKS) or, before
//     Linux 5.6, in steps (os.Root). A link that leads out is an error.
//   - What a name leads to is held (O_PATH) and looked at before it is opened, and
//     what is opened is what was looked at. Only plain files are opened, with
//     O_NONBLOCK and O_NOCTTY, and every descriptor has O_CLOEXEC.
//   - Sizes, counts and depths have bounds that the caller states. They hold for a
//     file that grows while it is read, too.
//   - Every call takes the context of what it is done for, and returns when that
//     ends, even if the file system does not answer: see Within.
//
// A name that only quire writes (logs, the database, the outcome) is not a job's,
// and is not read through this package.
package jobfile
