package runlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"quire/internal/secret/masked"
)

// Taken is the worker's answer to a push: which runs it made, which mirrors it
// goes to by order of the configuration, and what the pusher must be told
// besides. It is written once, when the push leaves the spool.
type Taken struct {
	Push    string     `json:"push"`
	Runs    []TakenRun `json:"runs"`
	Mirrors []string   `json:"mirrors,omitempty"` // their names; if any, a report of them follows
	Notes   []string   `json:"notes"`
}

// TakenRun names a run that a push made.
type TakenRun struct {
	ID     string `json:"id"`
	Number int64  `json:"number"`
	Ref    string `json:"ref"` // as text, see event.EscapeRef
	New    string `json:"new"`
}

// PushesDir is the directory of the answers, for those who watch it.
func PushesDir(stateDir string) string { return filepath.Join(stateDir, "pushes") }

// TakenFile is where the answer to a push appears.
func TakenFile(stateDir, pushID string) string {
	return filepath.Join(PushesDir(stateDir), pushID+".json")
}

// WriteTaken publishes the answer to a push.
func WriteTaken(stateDir string, t Taken) error {
	if t.Runs == nil {
		t.Runs = []TakenRun{}
	}
	t.Notes = FewNotes(t.Notes)
	data, err := json.Marshal(t)
	if err == nil {
		err = writeAtomic(TakenFile(stateDir, t.Push), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("answer push %s: %w", t.Push, err)
	}
	return nil
}

// maxNotes bounds what a pusher is told beside the runs: a push can have 100,000
// refs, and each something to be said of it.
const maxNotes = 50

// FewNotes is the notes of a push as they are kept: the first of them, and how many
// there were more.
func FewNotes(notes []string) []string {
	few := make([]string, 0, min(len(notes), maxNotes+1))
	for i, note := range notes {
		if i == maxNotes {
			return append(few, fmt.Sprintf("warning: and %d more such lines", len(notes)-maxNotes))
		}
		few = append(few, note[:min(len(note), maxNote)])
	}
	return few
}

// maxMirrorReport bounds what a push's pusher is told of its mirrors, in bytes.
const maxMirrorReport = 1 << 20

// ReadTaken reads the answer to a push. While there is none, the error is
// fs.ErrNotExist.
func ReadTaken(stateDir, pushID string) (Taken, error) {
	var t Taken
	data, err := os.ReadFile(TakenFile(stateDir, pushID))
	if err != nil {
		return t, err
	}
	if err := json.Unmarshal(data, &t); err != nil {
		return t, fmt.Errorf("read answer to push %s: %w", pushID, err)
	}
	return t, nil
}

// MirrorReportFile is where it appears, whole, what became of a push at the
// mirrors of Taken.
func MirrorReportFile(stateDir, pushID string) string {
	return filepath.Join(PushesDir(stateDir), pushID+".mirrors")
}

// WriteMirrorReport publishes what became of a push at its mirrors, unless that
// has been done: every follower sees the same bytes.
func WriteMirrorReport(stateDir, pushID string, text masked.Text) error {
	path := MirrorReportFile(stateDir, pushID)
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if len(text.String()) > maxMirrorReport {
		// A whole line is the last of it: who reads it takes lines.
		cut := text.Cut(maxMirrorReport).String()
		cut = cut[:strings.LastIndexByte(cut, '\n')+1]
		return writeMirrorReport(path, pushID, []byte(cut+"hint: more is left out; see it with: quire mirror status\n"))
	}
	return writeMirrorReport(path, pushID, []byte(text.String()))
}

func writeMirrorReport(path, pushID string, text []byte) error {
	if err := writeAtomic(path, text); err != nil {
		return fmt.Errorf("report on the mirrors of push %s: %w", pushID, err)
	}
	return nil
}

// RemoveTaken removes the answer to a push and what belongs to it.
func RemoveTaken(stateDir, pushID string) error {
	var errs []error
	for _, path := range []string{TakenFile(stateDir, pushID), MirrorReportFile(stateDir, pushID)} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
