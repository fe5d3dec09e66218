package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"quire/hooks/install"
	"quire/internal/account"
)

// newUnitsCommand writes the units that install.sh switches on.
func newUnitsCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "units DIR",
		Short: "Write systemd units into a directory, and print their names",
		Long: `Writes the units of one runner: quire-worker, which goes on at boot with what a
crash or power cut left, its timer, which looks after mirrors when nobody pushes,
and, for a runner of the system, quire-listen, where other users hand over what
they push. Nothing is switched on.

Without --system they are for this user's own systemd (systemctl --user).`,
		Example: "  quire units --system git /etc/systemd/system",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := installer{}
			if err := in.prepare(); err != nil {
				return err
			}
			units, err := in.unitsOf(name)
			if err != nil {
				return err
			}
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return err
			}
			for _, u := range units {
				if err := install.WriteFile(filepath.Join(args[0], u.name), []byte(u.text), 0o644); err != nil {
					return fmt.Errorf("write a unit: %w", err)
				}
				if u.enable {
					fmt.Fprintln(cmd.OutOrStdout(), u.name)
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&name, "system", "", "for the system's systemd, with `USER` as the runner")
	return cmd
}

type unit struct {
	name, text string
	enable     bool // those without [Install] are started by another
}

// unitsOf are the units of a runner of the system, or with "" of this user.
func (in *installer) unitsOf(name string) ([]unit, error) {
	user, suffix := in.me, ""
	if name != "" {
		var err error
		if user, err = account.ByName(name); err != nil {
			return nil, usageError{err}
		}
		suffix = "-" + unitName(user)
	}
	place, err := in.placeOf(user)
	if err != nil {
		return nil, err
	}
	w := serviceText{quire: in.self, config: place.Config, stop: place.KillGrace + stopMargin}
	target := "default.target"
	if name != "" {
		w.user, target = unitName(user), "multi-user.target"
	}
	worker := "quire-worker" + suffix
	units := []unit{
		{worker + ".service", w.text("quire: go on with interrupted pushes, and look after mirrors", "worker", "", target), true},
		{worker + ".timer", timerText, true},
	}
	if name == "" {
		return units, nil // nobody else can reach a socket of this user's own systemd
	}
	listen := "quire-listen" + suffix
	return append(units,
		unit{listen + ".socket", socketText(w.user, systemSocket(user)), true},
		unit{listen + ".service", w.text("quire: take in what other users push to the repositories of "+w.user, "worker --listen", listen+".socket", ""), false},
	), nil
}

func unitName(user account.Account) string {
	if user.Name == "" {
		return fmt.Sprint(user.UID)
	}
	return user.Name
}

// stopMargin is what a supervisor needs beyond kill_grace to write down how its
// run ended.
const stopMargin = 10 * time.Second

// serviceText is what the services have in common.
type serviceText struct {
	quire, config string
	user          string // "": of a user's own systemd
	stop          time.Duration
}

// text is a service. It counts as started when its program runs, so that a boot
// does not wait for a mirror that is owed for hours. It stops as a whole: the
// worker leaves at once, each run's supervisor ends its jobs within kill_grace,
// and what is left then is killed.
func (s serviceText) text(description, command, socket, target string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("[Unit]\nDescription=%s", description)
	if socket != "" {
		line("Requires=%s", socket)
	}
	if s.user != "" {
		line("Wants=network-online.target\nAfter=network-online.target docker.service %s", socket)
	}
	line("\n[Service]\nType=exec")
	if s.user != "" {
		line("User=%s", s.user)
	}
	if s.config != "" {
		line("Environment=%s", quoteUnit("QUIRE_CONFIG="+s.config))
	}
	line("ExecStart=%s %s", quoteUnit(s.quire), command)
	line("Delegate=yes\nKillMode=control-group\nTimeoutStopSec=%d", int((s.stop+time.Second-1)/time.Second))
	if target != "" {
		line("\n[Install]\nWantedBy=%s", target)
	}
	return strings.ReplaceAll(b.String(), " \n", "\n")
}

// quoteUnit writes a word for a unit: quoted, and without its specifiers
// (systemd.unit(5)).
func quoteUnit(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, `%`, `%%`).Replace(s) + `"`
}

// Without the timer only a push would wake what looks once a day whether the
// mirrors are still what quire put there.
const timerText = `[Unit]
Description=quire: look after mirrors also when nobody pushes

[Timer]
OnCalendar=00/6:00
RandomizedDelaySec=30min
Persistent=true

[Install]
WantedBy=timers.target
`

func socketText(user, socket string) string {
	return `[Unit]
Description=quire: other users hand over what they push to the repositories of ` + user + `

[Socket]
ListenStream=` + strings.ReplaceAll(socket, "%", "%%") + `
SocketUser=` + user + `
SocketMode=0666
DirectoryMode=0755
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`
}
