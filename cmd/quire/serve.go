package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/spf13/cobra"

	"quire/internal/web"
	"quire/internal/worker"
	"quire/mirror"
)

func newServeCommand() *cobra.Command {
	var listen string
	var link bool
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve runs, logs and mirrors as pages, read-only",
		Long: `Serve runs and their logs, and how the mirrors are, as pages. They change
nothing. They are shown to who opened the link that is printed, which works once;
--link makes another for a server that runs. With [web] access = "anyone" they are
shown to whoever reaches the address.

A Unix socket (--listen PATH) is open to quire's user only, and needs no link.`,
		Example: `  quire serve
  quire serve --link
  quire serve --listen /run/quire.sock`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := openDesk(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			if listen == "" {
				listen = d.cfg.Web.Listen
			}
			if link {
				return printLink(cmd, d, listen)
			}
			return serve(cmd, d, listen)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "`ADDRESS` to listen on, or the path of a Unix socket (default: [web] listen)")
	cmd.Flags().BoolVar(&link, "link", false, "print a link for a server that runs, and leave")
	return cmd
}

func serve(cmd *cobra.Command, d *desk, listen string) error {
	engine, err := d.mirrors()
	if err != nil {
		return err
	}
	mirrors := func(ctx context.Context, gitDir string) ([]mirror.TargetStatus, error) {
		return engine.Status(ctx, gitDir, worker.MirrorOrders(d.cfg))
	}
	s := web.Server{Pages: web.Handler(d.store, d.cfg.StateDir, mirrors), BaseURL: d.cfg.Web.BaseURL}
	if d.cfg.Web.Access == "link" {
		if s.Access, err = web.OpenAccess(d.cfg.StateDir); err != nil {
			return err
		}
	}
	return s.Serve(cmd.Context(), listen, func(addr net.Addr) {
		say := func(format string, args ...any) { fmt.Fprintf(cmd.ErrOrStderr(), "quire: "+format+"\n", args...) }
		at := "http://" + addr.String()
		switch {
		case addr.Network() == "unix":
			say("pages on the socket %s, for who may open it (stop with ctrl-C)", addr)
		case s.Access == nil:
			say("pages at %s/ for whoever reaches it (stop with ctrl-C)", at)
		default:
			to, err := s.Access.Link(at)
			if err != nil {
				to = at + "/ (" + err.Error() + ")"
			}
			say("pages at %s (the link works once; for another: quire serve --link; stop with ctrl-C)", to)
		}
	})
}

// printLink makes a link to the pages of a server that runs.
func printLink(cmd *cobra.Command, d *desk, listen string) error {
	switch {
	case strings.HasPrefix(listen, "/"), strings.HasPrefix(listen, "unix:"):
		return usageError{errors.New("the pages are on a Unix socket, and who may open that needs no link")}
	case d.cfg.Web.Access != "link":
		return usageError{errors.New("the pages are shown to whoever reaches them ([web] access), and need no link")}
	}
	base := d.cfg.Web.BaseURL
	if base == "" {
		base = "http://" + listen
	}
	access, err := web.OpenAccess(d.cfg.StateDir)
	if err != nil {
		return err
	}
	to, err := access.Link(base)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), to)
	return err
}
