package bwrap_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"quire/internal/executor/bwrap"
	"quire/internal/executor/executortest"
)

// Resource limits, which hold memory where there is no cgroup, do not see files that
// are kept in memory.
func TestOwnFilesInMemoryAreBounded(t *testing.T) {
	needBwrap(t)
	const most = 256 << 20
	for _, root := range []string{"", "rootfs"} {
		t.Run(root, func(t *testing.T) {
			spec := executortest.NewSpec(t)
			spec.Limits.Memory = most
			if root != "" {
				spec.Rootfs = executortest.Busybox(t)
			}
			x, err := bwrap.NewWithoutCgroup(spec)
			if err != nil {
				t.Fatal(err)
			}
			defer x.Close(t.Context())
			out, exit := sh(t, x, `while read from at kind options rest; do
	case "$kind $options" in "tmpfs rw"*|"overlay rw"*) echo "$at $(stat -f -c '%S %b' "$at")";; esac
done < /proc/self/mounts
echo text > /dev/shm/file && cat /dev/shm/file && echo lost > /dev/null; (: > /dev/other) 2>/dev/null || echo refused`)
			if !strings.HasSuffix(out, "refused\n") || !strings.Contains(out, "\ntext\n") {
				t.Errorf("/dev/shm is not for writing, or /dev is: %s%+v", out, exit)
			}
			seen := 0
			for line := range strings.Lines(out) {
				f := strings.Fields(line)
				if len(f) != 3 || !strings.HasPrefix(f[0], "/") {
					continue
				}
				seen++
				size, err1 := strconv.ParseInt(f[1], 10, 64)
				blocks, err2 := strconv.ParseInt(f[2], 10, 64)
				if err1 != nil || err2 != nil || blocks == 0 || size*blocks > most {
					t.Errorf("more than %d bytes fit: %s", most, line)
				}
			}
			if seen < 2 {
				t.Errorf("only %d file systems in memory: %s", seen, out)
			}
		})
	}
}

// Root's job owns what only root may read, also in /proc.
func TestNothingOfTheKernelsIsInSight(t *testing.T) {
	needBwrap(t)
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	x := start(t, executortest.NewSpec(t))
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() || info.Mode()&0o004 != 0 || e.Name() == "kmsg" {
			continue // kmsg is the system call syslog(2), and waits where it is not refused
		}
		if out, _ := sh(t, x, "head -c 1 /proc/"+e.Name()+" | wc -c; :"); !strings.HasSuffix(out, "0\n") {
			t.Errorf("/proc/%s can be read: %s", e.Name(), out)
		}
	}
}
