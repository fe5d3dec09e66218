package supervise

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"quire/internal/secret"
	"quire/pipeline"
)

// commandLine is a command as a person would type it.
func commandLine(cmd pipeline.Command) string {
	if len(cmd.Argv) == 0 {
		return cmd.Shell
	}
	words := make([]string, len(cmd.Argv))
	for i, w := range cmd.Argv {
		if w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+:@%=,") != "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}

// maxLine is how many bytes of a command are recorded as its line. The command
// itself may have 1.5 MiB, and a run many thousands of them.
const maxLine = 4 << 10

// recordedLine is a command's line as it is recorded: masked whole, and then cut,
// with a mark that says how much is left out.
func recordedLine(red *secret.Redactor, line string) string {
	line = red.String(line)
	if len(line) <= maxLine {
		return line
	}
	cut := maxLine
	for cut > 0 && !utf8.RuneStart(line[cut]) {
		cut--
	}
	return fmt.Sprintf("%s … (%d bytes more)", line[:cut], len(line)-cut)
}
