package worker

import (
	"bufio"
	"errors"
	"io"
	"os"
	"regexp"
	"strings"
)

// A supervisor has secrets in its memory, and Go prints what a goroutine panicked
// with. What it writes to its standard error goes through this process, which
// passes on where it crashed and not with what. It cannot be masked here: only
// the supervisor knows the secrets, and it is dying.

// crashPipe makes what a supervisor gets as its standard error. Close the file when
// it has it. The copying ends with the supervisor, which may be after this process:
// then nobody reads what it has to say, and nobody waits for the copying.
func crashPipe(to io.Writer) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		defer r.Close()
		copyCrash(to, r)
	}()
	return w, nil
}

// maxCrashLine is how much of a line is looked at. Longer ones are no place of a program.
const maxCrashLine = 4 << 10

// What Go's runtime writes of a crash, besides values.
var (
	crashBegins = regexp.MustCompile(`^(panic|fatal error|runtime|unexpected fault|\t*panic|\[signal)\b`)
	traceBegins = regexp.MustCompile(`^goroutine \d+ .*\[[a-z ,\d]+\]:$`)
	framePlace  = regexp.MustCompile(`^\t[^ ]+\.(go|s):\d+( \+0x[0-9a-f]+)?$`)
	frameCall   = regexp.MustCompile(`^((?:created by )?[\w./*()\[\]·-]+?)\((?:\.\.\.|[{}0-9a-fx, .?_]*)\)$`)
	frameMaker  = regexp.MustCompile(`^created by [\w./*()\[\]·-]+( in goroutine \d+)?$`)
)

// copyCrash copies what a supervisor says, line by line, until it ends. From a crash
// on only places in the program pass.
func copyCrash(to io.Writer, from io.Reader) {
	lines := bufio.NewReaderSize(from, maxCrashLine)
	crashed := false
	for {
		line, err := lines.ReadSlice('\n')
		long := false
		for errors.Is(err, bufio.ErrBufferFull) { // none of ours: its end is read and left out
			long = true
			_, err = lines.ReadSlice('\n')
		}
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case long, text == "":
		case !crashed && crashBegins.MatchString(text):
			crashed = true
			io.WriteString(to, "quire supervise: crashed, with a value that is not shown, since it may hold a secret\n")
		case !crashed:
			io.WriteString(to, text+"\n")
		default:
			if place := crashPlace(text); place != "" {
				io.WriteString(to, place+"\n")
			}
		}
		if err != nil {
			return
		}
	}
}

// crashPlace is what passes of a line of a crash: "" if it tells of no place.
func crashPlace(line string) string {
	if call := frameCall.FindStringSubmatch(line); call != nil {
		return call[1] + "(…)"
	}
	if traceBegins.MatchString(line) || framePlace.MatchString(line) || frameMaker.MatchString(line) {
		return line
	}
	return ""
}
