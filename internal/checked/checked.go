// Package checked holds the rules for text that other people write and that
// quire hands on: to a program's arguments and environment, to mounts, to a
// container engine, to file names, to a terminal. Who may push a branch chooses
// most of this text (a pipeline's strings, ref names, push options), and who
// pushes chooses the rest.
//
// There is one check for each destination. Package pipeline calls it where a
// pipeline is registered and where a primitive is called, with the place for the
// person who wrote it; package executor calls it again for everything that it is
// given, whatever its source. Where a value is kept between the two it has a type
// that only its check makes.
//
// An error is a clause about the text ("it holds a zero byte"): the caller knows
// what the text is for. It imports only the standard library, because the hook
// links it.
package checked

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	errEmpty = errors.New("it is empty")
	errZero  = errors.New("it holds a zero byte")
)

// Bytes checks text that may hold anything but a zero byte, with which every
// string of the kernel's ends, and is at most most bytes long.
func Bytes(s string, most int) error {
	if strings.IndexByte(s, 0) >= 0 {
		return errZero
	}
	return within(s, most)
}

func within(s string, most int) error {
	if len(s) > most {
		return fmt.Errorf("it has %d bytes, and %d is the most", len(s), most)
	}
	return nil
}

// Line checks text that stands in one line of something: UTF-8, no control
// characters, not empty, and at most most bytes long.
func Line(s string, most int) error {
	if s == "" {
		return errEmpty
	}
	if err := Bytes(s, most); err != nil {
		return err
	}
	if !utf8.ValidString(s) {
		return errors.New("it is not UTF-8")
	}
	for _, r := range s {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return fmt.Errorf("it holds the control character %U", r)
		}
		if turns(r) {
			return fmt.Errorf("it holds %U, which changes how the text around it is shown", r)
		}
	}
	return nil
}

// FileName checks a name that becomes part of the name of one file.
func FileName(s string, most int) error {
	switch {
	case s == "." || s == "..":
		return errors.New("it is the name of a directory")
	case strings.Contains(s, "/"):
		return errors.New("it holds '/'")
	}
	return Line(s, most)
}
