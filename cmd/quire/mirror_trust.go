package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"quire/mirror"
)

func newMirrorTrustCommand() *cobra.Command {
	var fingerprint string
	cmd := &cobra.Command{
		Use:   "trust HOST[:PORT]",
		Short: "Pin the host keys of an SSH server that mirrors go to",
		Long: `Ask an SSH server for its host keys, show their fingerprints, and pin them once
you say that they are right. Compare them with what the server's operator
publishes (GitHub, GitLab and Codeberg do). Pins of the same host that were made
before are replaced.

With --fingerprint nothing is asked: the key of that fingerprint is pinned, and
no other.`,
		Example: "  quire mirror trust github.com\n  quire mirror trust --fingerprint SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU github.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDesk(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			e, err := d.mirrors()
			if err != nil {
				return err
			}
			keys, err := mirror.ScanHost(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			shown := len(keys)
			if keys, err = chooseKeys(cmd, keys, fingerprint); err != nil {
				return err
			}
			if err := e.Trust(keys); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s; refused mirrors go on with: quire mirror sync\n", pinned(args[0], keys, shown))
			return nil
		},
	}
	cmd.Flags().StringVar(&fingerprint, "fingerprint", "", "pin the key of this `FINGERPRINT` (SHA256:…) without asking")
	return cmd
}

// pinned says which of the keys that a server showed are trusted from now on.
func pinned(host string, keys []mirror.HostKey, shown int) string {
	if len(keys) == shown {
		return fmt.Sprintf("pinned every key that %s shows (%d)", host, shown)
	}
	return fmt.Sprintf("pinned the key %s %s of %s, and none of the other %d", keys[0].Type, keys[0].Fingerprint, host, shown-len(keys))
}

// chooseKeys shows the keys and has a person say whether they are right.
func chooseKeys(cmd *cobra.Command, keys []mirror.HostKey, fingerprint string) ([]mirror.HostKey, error) {
	out := cmd.OutOrStdout()
	for _, k := range keys {
		fmt.Fprintf(out, "%s  %s  %s\n", k.Host, k.Type, k.Fingerprint)
	}
	if fingerprint != "" {
		for _, k := range keys {
			if k.Fingerprint == fingerprint {
				return []mirror.HostKey{k}, nil
			}
		}
		return nil, failedError{error: fmt.Errorf("none of the server's keys has the fingerprint %s: nothing was pinned", fingerprint)}
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, usageError{errors.New("nothing was pinned: standard input is no terminal, so nobody compares these keys with what the server's operator publishes; give that one with --fingerprint SHA256:…")}
	}
	fmt.Fprint(out, "Are these the server's keys? Type yes to pin them: ")
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return nil, failedError{error: errors.New("nothing was pinned")}
	}
	return keys, nil
}
