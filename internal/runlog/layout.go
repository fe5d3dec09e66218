// Package runlog is what runs said, on disk: the output of each command, the
// events of a run, its report for the pusher, and its outcome. It writes these
// files, reads them, and follows them while they grow.
//
// Files are the interface between a run's supervisor, which writes them, and
// everyone who watches: the hook, `quire log -f`, the web pages. The database
// holds none of these bytes. All of them are redacted before they come here.
// It links only the standard library, because the hook does.
package runlog

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Dir is the directory of one run: STATE/runs/ID.
type Dir string

// RunDir is the directory of a run under a state directory.
func RunDir(stateDir, runID string) Dir { return Dir(filepath.Join(stateDir, "runs", runID)) }

// PushLog is the run's report for the pusher: plain text, appended to as facts
// happen, never changed.
func (d Dir) PushLog() string { return filepath.Join(string(d), "push.log") }

// Events is the run's list of events, one JSON object a line.
func (d Dir) Events() string { return filepath.Join(string(d), "events.jsonl") }

// OutcomeFile is there from the moment the run is over, and is written last.
func (d Dir) OutcomeFile() string { return filepath.Join(string(d), "outcome") }

// OnceFile is there if the run has a job that must not be done twice, from before
// any job began.
func (d Dir) OnceFile() string { return filepath.Join(string(d), "once") }

// MarkOnce makes OnceFile; when it returns nil the file survives a power cut.
func (d Dir) MarkOnce() error {
	if err := writeAtomic(d.OnceFile(), nil); err != nil {
		return fmt.Errorf("note that a job of the run is a :once one: %w", err)
	}
	return syncParent(string(d))
}

// Once reports whether the run has such a job, or it cannot be known.
func (d Dir) Once() bool {
	_, err := os.Lstat(d.OnceFile())
	return !errors.Is(err, fs.ErrNotExist)
}

// Workspace is where the run's jobs work.
func (d Dir) Workspace() string { return filepath.Join(string(d), "workspace") }

// Scratch is what else the run's commands may write to: a sandbox's /tmp and
// home. It is removed with the workspace.
func (d Dir) Scratch() string { return filepath.Join(string(d), "scratch") }

// Artifacts holds the files that jobs asked to keep, by job.
func (d Dir) Artifacts(job string) string {
	return filepath.Join(string(d), "artifacts", EncodeJob(job))
}

// ArtifactsUnderWay holds files that are being copied to Artifacts. No job has
// this name (EncodeJob).
func (d Dir) ArtifactsUnderWay() string { return filepath.Join(string(d), "artifacts", ".new") }

// Job is the directory of a job's logs.
func (d Dir) Job(job string) string { return filepath.Join(string(d), "jobs", EncodeJob(job)) }

// JobLog holds what the job's (runtime.log …) said, in the format of command logs.
func (d Dir) JobLog(job string) string { return filepath.Join(d.Job(job), "job.log") }

// CommandLog holds the output of a job's nth sh call, counted from 1 over all
// attempts.
func (d Dir) CommandLog(job string, n int) string {
	return filepath.Join(d.Job(job), "sh-"+strconv.Itoa(n)+".log")
}

// ServiceLog holds the output of a service of the run.
func (d Dir) ServiceLog(name string) string {
	return filepath.Join(string(d), "services", EncodeJob(name)+".log")
}

// Services lists the services of the run that have a log.
func (d Dir) Services() []string {
	files, _ := os.ReadDir(filepath.Join(string(d), "services")) // none: there are no services
	var names []string
	for _, f := range files {
		if file, ok := strings.CutSuffix(f.Name(), ".log"); ok {
			if name, ok := DecodeJob(file); ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// maxEncoded leaves room below NAME_MAX (255 bytes on Linux).
const maxEncoded = 200

// EncodeJob is a job's id as a file name: a slash, a per cent sign, control
// bytes, and a dot or dash that leads are written %XX; everything else stands
// for itself, so a person finds quire%2Fmirror at once. Ids whose name would
// be longer than a file's may be are cut and end in %- and a hash: those alone
// DecodeJob cannot turn back.
func EncodeJob(id string) string {
	var b strings.Builder
	for i := range len(id) {
		c := id[i]
		if c == '/' || c == '%' || c < 0x20 || c == 0x7f || i == 0 && (c == '.' || c == '-') {
			b.WriteByte('%')
			b.WriteByte("0123456789ABCDEF"[c>>4])
			b.WriteByte("0123456789ABCDEF"[c&15])
			continue
		}
		b.WriteByte(c)
	}
	name := b.String()
	if name == "" {
		return "%" // no id is empty; this keeps a bug inside its directory
	}
	if len(name) <= maxEncoded {
		return name
	}
	sum := sha256.Sum256([]byte(id))
	cut := maxEncoded - 2 - 32
	for cut > 0 && name[cut]&0xc0 == 0x80 { // not inside a UTF-8 sequence
		cut--
	}
	return name[:cut] + "%-" + hex.EncodeToString(sum[:16])
}

// DecodeJob turns a file name of EncodeJob back into the id.
func DecodeJob(name string) (id string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b.WriteByte(name[i])
			continue
		}
		if i+2 >= len(name) {
			return "", false
		}
		c, err := strconv.ParseUint(name[i+1:i+3], 16, 8)
		if err != nil {
			return "", false
		}
		b.WriteByte(byte(c))
		i += 2
	}
	id = b.String()
	return id, EncodeJob(id) == name
}
