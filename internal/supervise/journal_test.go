package supervise

import (
	"os"
	"strings"
	"sync"
	"testing"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/secret"
	"quire/internal/secret/masked"
)

// A run that is ended over the heads of its jobs, as when its memory is used up,
// has its end as the last line and the last event, whatever they say meanwhile.
func TestNothingIsSaidAfterTheEnd(t *testing.T) {
	dir := runlog.Dir(t.TempDir())
	red := secret.Open(&config.Config{}).Redactor()
	j, err := openJournal(dir, red, event.Run{ID: "x", Number: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var jobs sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		jobs.Go(func() {
			for more := true; more; {
				select {
				case <-stop:
					more = false // once more, when all is over
				default:
				}
				j.say(masked.Const("  stop   a    0.1s\n"))
				j.record(event.Record{Type: event.JobFinished, Job: "a"})
			}
		})
	}
	const last = "error: run 1 failed in 0.1s\n"
	if err := j.end(masked.Const(last), event.Record{Type: event.RunFinished, State: string(event.RunFailed)}); err != nil {
		t.Error(err)
	}
	close(stop)
	jobs.Wait()
	if report, err := os.ReadFile(dir.PushLog()); err != nil || !strings.HasSuffix(string(report), "\n"+last) && string(report) != last {
		t.Errorf("the report ends %q, %v", report[max(0, len(report)-200):], err)
	}
	records, err := dir.Records()
	if n := len(records); err != nil || n == 0 || records[n-1].Type != event.RunFinished {
		t.Errorf("%d events, the last no end: %v", n, err)
	}
	if err := j.loss(); err != nil {
		t.Errorf("what came too late is a fault: %v", err)
	}
}
