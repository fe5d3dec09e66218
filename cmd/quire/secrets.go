package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"quire/internal/config"
	"quire/internal/secret"
)

func newSecretsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secrets",
		Short: "List, check and encrypt the secrets of the configuration",
		Long: `Secrets are declared in the configuration, as tables [secrets.NAME]. No command
prints a value.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newSecretsListCommand(), newSecretsCheckCommand(), newSecretsEncryptCommand())
	return cmd
}

// secretListing is a secret as `secrets list --json` prints it.
type secretListing struct {
	Name   string   `json:"name"`
	Source string   `json:"source"`          // the key of the configuration
	From   string   `json:"from,omitempty"`  // file, variable, program or credential
	Repos  []string `json:"repos,omitempty"` // empty: all
	Refs   []string `json:"refs,omitempty"`
	Jobs   []string `json:"jobs,omitempty"`

	Pushers []string `json:"pushers,omitempty"`

	Protect      config.Protection `json:"protect"`
	ProtectPaths []string          `json:"protect_paths,omitempty"`
}

func listingOf(d config.Secret) secretListing {
	l := secretListing{Name: d.Name, Source: d.Source(), Repos: d.Repos, Refs: d.Refs, Jobs: d.Jobs, Pushers: d.Pushers, Protect: d.Protect, ProtectPaths: d.ProtectPaths}
	switch l.Source {
	case "file":
		l.From = d.File
	case "env":
		l.From = d.Env
	case "command":
		l.From = d.Command[0] // its arguments may say more than they should
	case "credential":
		l.From = d.Credential
	case "age_file":
		l.From = d.AgeFile
	}
	return l
}

func newSecretsListCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the secrets: name, source and who may have them",
		Example: `  quire secrets list
  quire secrets list --json | jq -r 'select(.refs == null and .protect == false) | .name'`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load()
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			if asJSON {
				for _, name := range cfg.SecretNames() {
					if err := printJSON(out, listingOf(cfg.Secrets[name])); err != nil {
						return err
					}
				}
				return nil
			}
			return listSecrets(out, cfg)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func listSecrets(out io.Writer, cfg *config.Config) error {
	if len(cfg.Secrets) == 0 {
		_, err := fmt.Fprintln(out, "no secrets are declared")
		return err
	}
	var c columns
	c.add("NAME", "SOURCE", "REPOS", "REFS", "PUSHERS", "JOBS", "CODE")
	for _, name := range cfg.SecretNames() {
		l := listingOf(cfg.Secrets[name])
		c.add(l.Name, plain(strings.TrimSpace(l.Source+" "+l.From)), orAll(l.Repos), orAll(l.Refs), orAll(l.Pushers), orAll(l.Jobs), plain(l.protection()))
	}
	return c.print(out)
}

// protection is whose code may have the secret.
func (l secretListing) protection() string {
	switch {
	case l.Protect == config.ProtectTree:
		return "a commit on the default branch"
	case l.Protect == config.Unprotected:
		return "any"
	}
	return strings.Join(append([]string{"the default branch's .quire"}, l.ProtectPaths...), ", ")
}

func orAll(globs []string) string {
	if len(globs) == 0 {
		return "all"
	}
	return strings.Join(globs, ", ")
}

// secretCheck is a secret as `secrets check --json` prints it.
type secretCheck struct {
	Name     string   `json:"name"`
	Source   string   `json:"source"`
	OK       bool     `json:"ok"`
	Length   int      `json:"length,omitempty"` // bytes
	Error    string   `json:"error,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

func newSecretsCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [NAME…]",
		Short: "Fetch each secret and say what is wrong with it",
		Long: `Fetch each secret, or those named, from its source as a run would, and say its
length, whether others can read it, and whether it is long enough to be redacted.

Exit status 1 if one cannot be fetched.`,
		Example: `  quire secrets check
  sudo -u git quire secrets check github_token`,
		ValidArgsFunction: completeSecrets,
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := config.Load()
			if err != nil {
				return err
			}
			for _, name := range args {
				if _, ok := cfg.Secrets[name]; !ok {
					return usageError{fmt.Errorf("unknown secret: %s; quire secrets list shows them", name)}
				}
			}
			if len(args) == 0 {
				args = cfg.SecretNames()
			}
			if err := secret.Shield(); err != nil {
				return err
			}
			vault := secret.Open(cfg)
			var checks []secretCheck
			for _, name := range args {
				c := secretCheck{Name: name, Source: cfg.Secrets[name].Source()}
				found, err := vault.Check(cmd.Context(), name)
				if err != nil {
					c.Error = vault.Redactor().String(err.Error())
				}
				c.OK, c.Length, c.Warnings = err == nil, found.Length, found.Warnings
				checks = append(checks, c)
			}
			return reportSecrets(cmd.OutOrStdout(), checks, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

func reportSecrets(out io.Writer, checks []secretCheck, asJSON bool) error {
	p := paletteFor(out)
	c := columns{colour: func(_, col int, cell string) string {
		if col == 1 {
			return p.state(cell)
		}
		return cell
	}}
	var failed error
	for _, k := range checks {
		if !k.OK {
			failed = errFailed
		}
		if asJSON {
			if err := printJSON(out, k); err != nil {
				return err
			}
			continue
		}
		switch {
		case !k.OK:
			c.add(k.Name, "bad", plain(strings.TrimPrefix(k.Error, "secret "+k.Name+": ")))
		case len(k.Warnings) > 0:
			c.add(k.Name, "warn", plain(k.Source+", "+counted(k.Length, "byte")+": "+strings.Join(k.Warnings, "; ")))
		default:
			c.add(k.Name, "ok", k.Source+", "+counted(k.Length, "byte"))
		}
	}
	if !asJSON && len(checks) == 0 {
		fmt.Fprintln(out, "no secrets are declared")
	}
	if err := c.print(out); err != nil {
		return err
	}
	return failed
}

func newSecretsEncryptCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "encrypt [NAME]",
		Short: "Encrypt a value for the configuration",
		Long: `Read a value from the terminal, without echo, or from standard input, encrypt it
with age for the identity that [secrets] names, and print the table to put into
the configuration. Encrypted, it may be kept in git.

One newline at the end of standard input is not part of the value.`,
		Example: `  quire secrets encrypt github_token >> /etc/quire/config.toml
  quire secrets encrypt deploy_key < ~/.ssh/deploy`,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeSecrets,
		RunE: func(cmd *cobra.Command, args []string) error {
			name := "NAME"
			if len(args) > 0 {
				name = args[0]
			}
			if name == "identity" || name == "" {
				return usageError{errors.New("no secret can be called " + strconv.Quote(name))}
			}
			cfg, err := config.Load()
			if err != nil {
				return err
			}
			if err := secret.Shield(); err != nil {
				return err
			}
			// Nobody should type a value to learn that there is no identity.
			if _, err := secret.Encrypt(cfg, ""); err != nil {
				return err
			}
			value, err := readValue(cmd.InOrStdin(), name)
			if err != nil {
				return err
			}
			armored, err := secret.Encrypt(cfg, value)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "[secrets.%s]\nage = \"\"\"\n%s\"\"\"\n", tomlKey(name), armored)
			return err
		},
	}
}

// readValue reads a value from a person or a pipe. An empty one is a mistake.
func readValue(in io.Reader, name string) (string, error) {
	var b []byte
	var err error
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(os.Stderr, "value of %s (not shown): ", plain(name))
		b, err = term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(os.Stderr)
	} else {
		b, err = io.ReadAll(io.LimitReader(in, secret.MaxLength+3))
	}
	if err != nil {
		return "", fmt.Errorf("read the value: %w", err)
	}
	value := secret.TrimNewline(string(b))
	switch {
	case value == "":
		return "", usageError{errors.New("the value is empty; type it, or pass it on standard input")}
	case len(value) > secret.MaxLength:
		return "", usageError{fmt.Errorf("the value is longer than %d KiB", secret.MaxLength>>10)}
	}
	return value, nil
}

var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// tomlKey writes a name as a key of TOML, quoted where it must be.
func tomlKey(name string) string {
	if bareKey.MatchString(name) {
		return name
	}
	return strconv.Quote(name)
}

// completeSecrets offers the declared names to the shell.
func completeSecrets(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	cfg, err := config.Load()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	return cfg.SecretNames(), cobra.ShellCompDirectiveNoFileComp
}
