package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"quire/internal/event"
	"quire/internal/store"
)

// completeRuns offers the newest runs to the shell.
func completeRuns(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	d, err := openDesk(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer d.Close()
	runs, err := d.store.Runs(cmd.Context(), store.Filter{Limit: 30})
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	offers := []string{"last"}
	for _, r := range runs {
		offers = append(offers, fmt.Sprintf("%s\t%s %s %s", strconv.FormatInt(r.Number, 10), plain(event.RepoName(r.GitDir)), plain(event.ShortRef(r.Ref)), r.State))
	}
	return offers, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeJobs offers a run's jobs to the shell.
func completeJobs(cmd *cobra.Command, run string) ([]string, cobra.ShellCompDirective) {
	d, err := openDesk(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer d.Close()
	r, err := d.store.Resolve(cmd.Context(), run)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	jobs, err := d.store.Jobs(cmd.Context(), r.ID)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, j := range jobs {
		// The shell puts an offer on the command line as it is, where $(…) in the
		// name of somebody's job would be run.
		if strings.Trim(j.ID, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+:@%") == "" {
			ids = append(ids, j.ID+"\t"+string(j.State))
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp
}
