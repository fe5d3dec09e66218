package supervise

import (
	"quire/internal/checked"
	"quire/internal/secret"
	"quire/internal/secret/masked"
	"quire/pipeline"
)

// commandLine is a command as a person would type it.
func commandLine(cmd pipeline.Command) string {
	if len(cmd.Argv) == 0 {
		return cmd.Shell
	}
	return checked.CommandLine(cmd.Argv)
}

// maxLine is how many bytes of a command are recorded as its line. The command
// itself may have 1.5 MiB, and a run many thousands of them.
const maxLine = 4 << 10

// recordedLine is a command's line as it is recorded: masked whole, and then cut,
// with a mark that says how much is left out.
func recordedLine(red *secret.Redactor, line string) secret.Masked {
	whole := red.Mask(line)
	short := whole.Cut(maxLine)
	if short == whole {
		return whole
	}
	return masked.Format("%s (%d bytes more)", short, masked.Int(max(len(line)-maxLine, 1)))
}
