package bwrap_test

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"quire/internal/executor/executortest"

	"golang.org/x/sys/unix"
)

// What holds for root's sandboxes holds for those of others.
func TestAsAnotherUser(t *testing.T) {
	needBwrap(t)
	executortest.AsAnotherUser(t, "^Test(SystemCalls|Keys|Namespaces|MountPoints|Nothing|Processes|Own|Environment|Mounts|Rootfs|Hidden|Abstract|Repository|Settings)")
}

func TestSystemCallsThatNoBuildNeedsAreRefused(t *testing.T) {
	spec := executortest.NewSpec(t)
	x := start(t, spec)
	out, _ := sh(t, x, probe(t, spec, "calls"))
	for _, a := range attempts() {
		var want error
		if a.want != 0 {
			want = a.want
		}
		if line := fmt.Sprintf("\n%s: %v\n", a.name, want); !strings.Contains("\n"+out, line) {
			t.Errorf("want %q of\n%s", line[1:], out)
		}
	}
	// A command can trace the sandbox's first process, which is bwrap.
	if out, _ := sh(t, x, "grep -h -E '^(Seccomp|NoNewPrivs):' /proc/1/status"); out != "NoNewPrivs:\t1\nSeccomp:\t2\n" {
		t.Errorf("the sandbox's first process: %s", out)
	}
}

// A user namespace of its own gives a command every capability in it: enough to
// mount the control files of the run's limits, which belong to the same root.
func TestNamespacesOfItsOwnLiftNoLimit(t *testing.T) {
	spec := executortest.NewSpec(t)
	spec.Limits.Memory, spec.Limits.PIDs = 512<<20, 50
	x := start(t, spec)
	out, _ := sh(t, x, probe(t, spec, "lift")+`; unshare --user --map-root-user true 2>&1 && echo MADE one
for d in /sys/fs/cgroup /sys; do [ ! -e $d ] || echo SEEN $d; done
cat /proc/self/cgroup`)
	if strings.Contains(out, "LIFTED") || strings.Contains(out, "MADE") || strings.Contains(out, "SEEN") || !strings.Contains(out, "operation not permitted") {
		t.Errorf("%s", out)
	}
	if strings.Contains(out, "quire-") {
		t.Errorf("the command sees where its cgroup is on the machine: %s", out)
	}
}

// liftLimits mounts the control files of every cgroup hierarchy and writes to them.
func liftLimits() {
	dir := "/tmp/cgroup"
	os.Mkdir(dir, 0o777)
	for _, kind := range []string{"memory", "pids", ""} {
		name := "cgroup"
		if kind == "" {
			name = "cgroup2"
		}
		if err := unix.Mount("none", dir, name, 0, kind); err != nil {
			fmt.Println(name, kind, err)
			continue
		}
		for _, file := range []string{"memory.limit_in_bytes", "memory.max", "pids.max"} {
			found, _ := filepath.Glob(filepath.Join(dir, "*", file))
			for _, f := range append(found, filepath.Join(dir, file)) {
				for _, most := range []string{"max", "-1"} {
					if os.WriteFile(f, []byte(most), 0) == nil {
						fmt.Println("LIFTED", f)
						break
					}
				}
			}
		}
		unix.Unmount(dir, 0)
	}
}

func TestKeysOfTheUserAreOutOfReach(t *testing.T) {
	spec := executortest.NewSpec(t)
	name := "quire-test-" + spec.RunID
	for _, ring := range []int{unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_SESSION_KEYRING} {
		id, err := unix.AddKey("user", name+strconv.Itoa(-ring), []byte("SECRET-key"), ring)
		if err != nil {
			executortest.Needs(t, "kernel keyrings: "+err.Error())
		}
		defer unix.KeyctlInt(unix.KEYCTL_UNLINK, id, ring, 0, 0)
	}
	out, _ := sh(t, start(t, spec), probe(t, spec, "key "+name))
	if !strings.Contains(out, "looked") || strings.Contains(out, "SECRET") || strings.Contains(out, name) {
		t.Errorf("%s", out)
	}
}

// findKey looks for keys in every way.
func findKey(name string) {
	for _, ring := range []int{unix.KEY_SPEC_USER_KEYRING, unix.KEY_SPEC_SESSION_KEYRING} {
		key := name + strconv.Itoa(-ring)
		id, err := unix.RequestKey("user", key, "", 0)
		if err != nil {
			id, err = unix.KeyctlSearch(ring, "user", key, 0)
		}
		if err == nil {
			var b [64]byte
			n, _ := unix.KeyctlBuffer(unix.KEYCTL_READ, id, b[:], 0)
			fmt.Printf("read %q of %s\n", b[:max(0, n)], key)
		}
	}
	keys, _ := os.ReadFile("/proc/keys")
	fmt.Printf("%s", keys)
	// By number: the rings of the user are listed there.
	for line := range strings.Lines(string(keys)) {
		f := strings.Fields(line)
		if len(f) < 9 || f[7] != "keyring" {
			continue
		}
		id, _ := strconv.ParseInt(f[0], 16, 64)
		unix.KeyctlInt(unix.KEYCTL_LINK, int(id), unix.KEY_SPEC_PROCESS_KEYRING, 0, 0)
		var b [256]byte
		if n, err := unix.KeyctlBuffer(unix.KEYCTL_READ, int(id), b[:], 0); err == nil {
			for i := 0; i+4 <= n; i += 4 {
				var v [64]byte
				key := int(int32(uint32(b[i]) | uint32(b[i+1])<<8 | uint32(b[i+2])<<16 | uint32(b[i+3])<<24))
				if m, err := unix.KeyctlBuffer(unix.KEYCTL_READ, key, v[:], 0); err == nil {
					fmt.Printf("read %q by number\n", v[:min(m, len(v))])
				}
			}
		}
	}
	fmt.Println("looked")
}

// Sockets without a file are in a network namespace, and a sandbox may share the
// machine's.
func TestAbstractSocketsOfTheMachineAreOutOfReach(t *testing.T) {
	if !landlocked() {
		executortest.Needs(t, "Landlock of Linux 6.12")
	}
	spec := executortest.NewSpec(t)
	spec.Network = "host"
	name := "quire-test-" + spec.RunID
	l, err := net.Listen("unix", "@"+name)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out, _ := sh(t, start(t, spec), probe(t, spec, "abstract "+name))
	if !strings.Contains(out, "operation not permitted") {
		t.Errorf("%s", out)
	}
}

func landlocked() bool {
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return errno == 0 && version >= 6
}

func reachAbstract(name string) error {
	c, err := net.Dial("unix", "@"+name)
	if err == nil {
		c.Close()
	}
	return err
}
