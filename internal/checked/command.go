package checked

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// Bounds of a command. Linux takes 131072 bytes for one string of execve(2),
// its final zero byte among them (MAX_ARG_STRLEN, 32 pages), and for all of them
// a quarter of the stack's limit, which is 2 MiB almost everywhere; what the
// operator and quire put into the environment must fit too.
const (
	MaxArgument  = 128<<10 - 1
	MaxCommand   = 3 << 19 // bytes of all arguments and variables
	MaxVariables = 1000
	MaxName      = 255       // bytes of a variable's name
	MaxStdin     = 64 << 20  // it is held in memory
	MaxPath      = 4<<10 - 1 // PATH_MAX without its zero byte
)

// Argument checks one argument of a command.
func Argument(s string) error {
	if err := Bytes(s, MaxArgument); err != nil {
		return fmt.Errorf("%w: pass such data by :stdin or a file", err)
	}
	return nil
}

// VariableName checks the name of an environment variable.
func VariableName(s string) error {
	switch {
	case s == "":
		return errEmpty
	case strings.Contains(s, "="):
		return errors.New("it holds '='")
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("it holds a control character")
	}
	return within(s, MaxName)
}

// VariableValue checks the value of an environment variable.
func VariableValue(name, value string) error {
	return Bytes(value, MaxArgument-len(name)-len("="))
}

// Variable checks an entry of an environment, NAME=VALUE.
func Variable(entry string) error {
	name, value, found := strings.Cut(entry, "=")
	if !found {
		return errors.New("it is not NAME=VALUE")
	}
	if err := VariableName(name); err != nil {
		return fmt.Errorf("its name: %w", err)
	}
	if err := VariableValue(name, value); err != nil {
		return fmt.Errorf("its value: %w", err)
	}
	return nil
}

// CommandSize checks that a command's arguments and environment fit into one
// execve(2).
func CommandSize(argv, env []string) error {
	n := 0
	for _, list := range [][]string{argv, env} {
		for _, s := range list {
			n += len(s) + 1
		}
	}
	if n > MaxCommand {
		return fmt.Errorf("the arguments and environment have %d bytes, and %d is the most: pass data by :stdin or a file", n, MaxCommand)
	}
	return nil
}

// Path checks a path that is opened or entered, of any bytes that a file's name
// may have. It says nothing about where the path leads.
func Path(s string) error {
	if s == "" {
		return errEmpty
	}
	return Bytes(s, MaxPath)
}

// CommandLine is a command as a person types it into a shell. It quotes what the
// shell would read as structure and leaves control characters as they are.
func CommandLine(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		if w == "" || strings.Trim(w, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+:@%=,") != "" {
			w = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
		words[i] = w
	}
	return strings.Join(words, " ")
}
