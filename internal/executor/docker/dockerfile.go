package docker

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// What the engine does itself while it builds, outside of any container, has
// neither the run's limits nor its network: it fetches the URLs that ADD names,
// from wherever the engine can reach, and takes images for FROM and COPY --from
// by the start of an id. So a Dockerfile is read here first, for those three
// alone. What this reading does not understand it refuses; the rest is the
// engine's to judge.

// bases are the images that a Dockerfile builds on or copies from, each once.
// An error says what may not be in it.
func bases(dockerfile string) ([]string, error) {
	var found []string
	// A line that ends in two backslashes goes on for older engines and not for
	// newer ones (buildkit, parser.go). It must be harmless both ways.
	for _, doubled := range []bool{false, true} {
		lines, err := logicalLines(dockerfile, doubled)
		if err != nil {
			return nil, err
		}
		names, err := basesOf(lines)
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			if !contains(found, n) {
				found = append(found, n)
			}
		}
	}
	return found, nil
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if strings.EqualFold(x, s) {
			return true
		}
	}
	return false
}

// line is an instruction with the lines that it goes on in.
type line struct {
	number int
	text   string
}

var escapeDirective = regexp.MustCompile(`(?i)^#[ \t]*escape[ \t]*=`)

// logicalLines joins the lines of each instruction as the engine does: comments
// and empty lines in between are left out.
func logicalLines(text string, doubled bool) ([]line, error) {
	var out []line
	open := false
	for i, raw := range strings.Split(strings.TrimPrefix(text, "\uFEFF"), "\n") {
		s := strings.TrimSpace(raw)
		if escapeDirective.MatchString(s) {
			return nil, fmt.Errorf("line %d: the directive escape is not supported: leave it out, lines go on after a backslash", i+1)
		}
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		// Only blanks and tabs may follow the backslash: after one with a form feed
		// the next line is an instruction (buildkit, parser.go).
		s = strings.TrimRight(strings.TrimRight(raw, "\r"), " \t")
		if !open {
			s = strings.TrimLeftFunc(s, unicode.IsSpace)
		}
		goesOn := strings.HasSuffix(s, `\`) && (doubled || !strings.HasSuffix(s, `\\`))
		if goesOn {
			s = strings.TrimSuffix(s, `\`)
		}
		if open {
			out[len(out)-1].text += s
		} else {
			out = append(out, line{i + 1, s})
		}
		open = goesOn
	}
	return out, nil
}

// instruction splits a line into its word, its flags and the rest.
func (l line) instruction() (word string, flags []string, rest string) {
	word, rest, _ = cutBlank(l.text)
	word = strings.ToLower(word)
	for strings.HasPrefix(rest, "--") {
		var flag string
		flag, rest, _ = cutBlank(rest)
		flags = append(flags, flag)
	}
	return word, flags, rest
}

func cutBlank(s string) (before, after string, found bool) {
	s = strings.TrimSpace(s)
	i := strings.IndexFunc(s, func(r rune) bool { return strings.ContainsRune(" \t\v\f\r\n", r) })
	if i < 0 {
		return s, "", false
	}
	return s[:i], strings.TrimSpace(s[i:]), true
}

func basesOf(lines []line) ([]string, error) {
	var found, stages []string
	args := map[string]string{}
	began := false // a FROM was seen: an ARG after it is the stage's own
	for _, l := range lines {
		word, flags, rest := l.instruction()
		err := harmless(word, flags, rest)
		switch {
		case err != nil:
		case word == "arg":
			if !began {
				err = declare(args, rest)
			}
		case word == "from":
			began = true
			var image, stage string
			if image, stage, err = from(args, rest); err == nil && image != "scratch" && !contains(stages, image) {
				found = append(found, image)
			}
			if stage != "" { // one without a name has a number
				stages = append(stages, stage)
			}
		case word == "copy":
			for _, f := range flags {
				if name, ok := strings.CutPrefix(strings.ToLower(f), "--from="); ok && !contains(stages, name) && !isNumber(name) {
					if err = plainName(name); err != nil {
						break
					}
					found = append(found, f[len("--from="):])
				}
			}
		}
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.number, err)
		}
	}
	return found, nil
}

// triggers checks the instructions that an image brings along for what is built
// on it (ONBUILD).
func triggers(instructions []string) error {
	for _, text := range instructions {
		for _, doubled := range []bool{false, true} {
			lines, err := logicalLines(text, doubled)
			if err != nil {
				return err
			}
			for _, l := range lines {
				word, flags, rest := l.instruction()
				if word == "copy" && len(flags) > 0 && strings.Contains(strings.ToLower(strings.Join(flags, " ")), "--from") {
					return errors.New("copies from another image")
				}
				if err := harmless(word, flags, rest); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// hereDocument is how newer engines find one in a word of RUN, COPY and ADD
// (buildkit, parser.go). What follows it would be read as instructions here.
var hereDocument = regexp.MustCompile(`(?:^|[\s"'])\d*<<-?[^<\s]`)

// harmless refuses an ADD that fetches, and what would hide one.
func harmless(word string, flags []string, rest string) error {
	switch word {
	case "onbuild":
		return triggers([]string{rest})
	case "run", "copy", "add", "from":
		for _, f := range flags {
			// Written so, a flag may be another than the one that is read here.
			if word != "run" && strings.ContainsAny(f, `\"'$`) {
				return fmt.Errorf("the flag %s: write it without quotes, backslashes and variables", f)
			}
		}
		if hereDocument.MatchString(rest) {
			return errors.New("here-documents need BuildKit, which images are not built with here: put the text into a file of .quire")
		}
	}
	if word != "add" {
		return nil
	}
	for _, source := range sources(rest) {
		if strings.Contains(source, "://") {
			return errors.New("ADD of a URL is fetched by the engine, outside of the run's network: fetch it with RUN")
		}
		if strings.ContainsAny(source, `\"'$`) {
			return errors.New("ADD: write what is added without quotes, backslashes and variables, or use COPY")
		}
	}
	return nil
}

// sources are what an ADD adds: all words but the last, which is where to.
func sources(rest string) []string {
	var words []string
	if json.Unmarshal([]byte(rest), &words) != nil {
		words = strings.Fields(rest)
	}
	return words[:max(0, len(words)-1)]
}

var (
	varName   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	imageText = regexp.MustCompile(`^[A-Za-z0-9._/:@+-]*$`)
	argument  = regexp.MustCompile(`\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?::-([A-Za-z0-9._/:@+-]*))?\})`)
)

// declare takes an ARG before the first FROM, whose value FROM may use.
func declare(args map[string]string, rest string) error {
	for _, word := range strings.Fields(rest) {
		name, value, _ := strings.Cut(word, "=")
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		if _, again := args[name]; again || !varName.MatchString(name) || !imageText.MatchString(value) {
			return errors.New("ARG before FROM: give each name once, and a value of letters, digits and . _ / : @ + -")
		}
		args[name] = value
	}
	return nil
}

// from reads what stands after FROM and its flags: an image or stage, and what
// the stage is called.
func from(args map[string]string, rest string) (image, stage string, err error) {
	words := strings.Fields(rest)
	switch {
	case len(words) == 3 && strings.EqualFold(words[1], "as"):
		stage = words[2]
	case len(words) != 1:
		return "", "", errors.New("FROM wants an image, or an image AS a name")
	}
	image = argument.ReplaceAllStringFunc(words[0], func(ref string) string {
		m := argument.FindStringSubmatch(ref)
		if v := args[m[1]+m[2]]; v != "" {
			return v
		}
		return m[3]
	})
	return image, stage, plainName(image)
}

// plainName refuses what is not only a name.
func plainName(image string) error {
	if image == "" || !imageText.MatchString(image) {
		return fmt.Errorf("the image %q: write its name, or use $NAME or ${NAME:-value} of an ARG before FROM", image)
	}
	return nil
}

func isNumber(s string) bool {
	_, err := strconv.Atoi(s)
	return err == nil
}
