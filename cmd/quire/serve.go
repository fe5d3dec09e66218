package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"quire/internal/web"
	"quire/internal/worker"
	"quire/mirror"
)

func newServeCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve runs, logs and mirrors as pages, read-only",
		Long: `Serve runs and their logs, and how the mirrors are, as pages. They can be read by whoever reaches the
address, and change nothing; put a proxy that knows your users before them to
show them outside this machine.`,
		Example: `  quire serve
  quire serve --listen /run/quire.sock`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			d, err := openDesk(ctx)
			if err != nil {
				return err
			}
			defer d.Close()
			if listen == "" {
				listen = d.cfg.Web.Listen
			}
			engine, err := d.mirrors()
			if err != nil {
				return err
			}
			mirrors := func(ctx context.Context, gitDir string) ([]mirror.TargetStatus, error) {
				return engine.Status(ctx, gitDir, worker.MirrorOrders(d.cfg))
			}
			return web.Serve(ctx, listen, web.Handler(d.store, d.cfg.StateDir, mirrors), func(addr string) {
				fmt.Fprintf(cmd.ErrOrStderr(), "quire: pages at http://%s/ (stop with ctrl-C)\n", addr)
			})
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "`ADDRESS` to listen on, or the path of a Unix socket (default: [web] listen)")
	return cmd
}
