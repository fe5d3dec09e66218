package hooks

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"quire/internal/event"
	"quire/internal/spool"
)

// A push that pre-receive announced is the same push when post-receive sees it,
// and must keep its id: that is what tells the worker that the two are one, if
// it recovered the announcement in between. Nothing is handed from one hook to
// the other, but both are children of one git receive-pack. So the 80 bits that
// are random in other ids are here a hash of which receive-pack it is.

// announcedID is the id of the push that the calling receive-pack handles.
func announcedID(at time.Time) string {
	return event.DerivedID(event.NewID(at), thisReceivePack())
}

// announced finds what pre-receive announced for this receive-pack.
func announced(s spool.Dir) (event.Push, bool) {
	ids, err := s.Intents()
	if err != nil || len(ids) == 0 {
		return event.Push{}, false // the usual case: no write-ahead here
	}
	this := thisReceivePack()
	for _, id := range ids {
		if event.DerivedFrom(id, this) {
			p, err := s.ReadIntent(id)
			return p, err == nil
		}
	}
	return event.Push{}, false
}

// thisReceivePack tells the calling receive-pack from every other on this machine.
func thisReceivePack() string {
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // the rest is still unique until a reboot
	pid, start := receivePack()
	return string(boot) + strconv.Itoa(pid) + " " + start
}

// receivePack finds the git receive-pack that (perhaps by way of other hooks'
// scripts) called us, and when it started, in clock ticks since boot: a pid is
// used again, the two together are not.
func receivePack() (pid int, start string) {
	pid = os.Getppid()
	parent, first := procStat(pid)
	for p, next, began, depth := pid, parent, first, 0; p > 1 && depth < 16; depth++ {
		if isReceivePack(p) {
			return p, began
		}
		p = next
		next, began = procStat(p)
	}
	return pid, first
}

func isReceivePack(pid int) bool {
	cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return false
	}
	args := strings.Split(string(cmdline), "\x00")
	name := filepath.Base(args[0])
	return name == "git-receive-pack" || name == "git" && slices.Contains(args[1:], "receive-pack")
}

// procStat reads fields 4 (parent) and 22 (start) of /proc/PID/stat (proc(5)).
// The second field, the name, may hold spaces and parentheses.
func procStat(pid int) (parent int, start string) {
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, ""
	}
	after := string(stat)[strings.LastIndexByte(string(stat), ')')+1:]
	f := strings.Fields(after) // from field 3 on
	if len(f) < 20 {
		return 0, ""
	}
	parent, _ = strconv.Atoi(f[1]) // 0 ends the search
	return parent, f[19]
}
