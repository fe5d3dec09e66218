package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/peterh/liner"
	"github.com/spf13/cobra"
	lua "github.com/yuin/gopher-lua"
	"golang.org/x/term"

	"quire/fennel"
	"quire/fennel/vm"
)

func newFennelReplCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "repl",
		Short: "Talk Fennel",
		Long: `Reads forms, runs them and prints their values. ,help lists the commands, the Tab
key completes names, and the history is kept in quire/fennel_history below
XDG_STATE_HOME (~/.local/state). Ctrl-C breaks off a form that runs too long, or
one that is being typed; Ctrl-D ends. Input that is not a terminal's is read
plainly.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if term.IsTerminal(int(os.Stdin.Fd())) {
				return replOnTerminal(os.Getenv("TERM") != "dumb")
			}
			k, L, stop := fennelState(cmd.Context(), "repl", nil)
			return fennelEnd(fennelRepl(L, k, replOptions(k, L)), stop)
		},
	}
}

// replOnTerminal talks to a person, who may break off what is evaluated, and edit
// lines if the terminal lets them.
func replOnTerminal(edits bool) error {
	interrupt := vm.NewInterrupt()
	k, L := newFennelState(vm.Options{Context: interrupt}, "repl", nil)
	k.Interrupt = interrupt
	options := replOptions(k, L)
	restore := func() {}
	if edits {
		t := newReplTerminal(L)
		restore = sync.OnceFunc(t.close)
		t.into(options)
	}
	defer restore()
	unwatch := watchInterrupts(interrupt, func() {
		restore()
		os.Exit(exitInterrupted)
	})
	defer unwatch()
	return fennelEnd(fennelRepl(L, k, options), func() { vm.Close(L) })
}

// watchInterrupts hands SIGINT to what is evaluated. One that comes when nothing
// is, or when the evaluation does not end (it may be in a library call), ends the
// conversation, as SIGTERM does.
func watchInterrupts(interrupt *vm.Interrupt, end func()) (stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var watching sync.WaitGroup
	watching.Go(func() {
		for s := range signals {
			if s != os.Interrupt || !interrupt.Trip() {
				end()
			}
		}
	})
	return func() {
		signal.Stop(signals)
		close(signals)
		watching.Wait()
	}
}

func replOptions(k *fennel.Compiler, L *lua.LState) *lua.LTable {
	options := L.NewTable()
	options.RawSetString("message", lua.LString(replWelcome()))
	k.Carets = k.NoColor || !term.IsTerminal(int(os.Stdout.Fd())) // where a conversation tells its errors
	return options
}

func replWelcome() string {
	return "Welcome to Fennel " + fennel.Version + " on gopher-lua" +
		"!\nUse ,help to see available commands."
}

func fennelRepl(L *lua.LState, k *fennel.Compiler, options *lua.LTable) error {
	module := k.ScriptModule()
	L.Push(module.RawGetString("repl"))
	L.Push(options)
	return vm.PCall(L, 1, 0, module.RawGetString("traceback").(*lua.LFunction))
}

// replTerminal edits lines on a terminal.
type replTerminal struct {
	L        *lua.LState
	line     *liner.State
	history  string // file; "" if there is no place for one
	complete *lua.LFunction
}

func newReplTerminal(L *lua.LState) *replTerminal {
	t := &replTerminal{L: L, line: liner.NewLiner(), history: replHistoryFile()}
	t.line.SetCtrlCAborts(true)
	t.line.SetWordCompleter(t.completions)
	if f, err := os.Open(t.history); err == nil {
		_, _ = t.line.ReadHistory(bufio.NewReader(f)) // an unreadable history is an empty one
		f.Close()
	}
	return t
}

func replHistoryFile() string {
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "quire", "fennel_history")
}

func (t *replTerminal) close() {
	if err := t.saveHistory(); err != nil {
		fmt.Fprintln(os.Stderr, "quire: history not saved:", err)
	}
	t.line.Close()
}

func (t *replTerminal) saveHistory() error {
	if t.history == "" {
		return nil
	}
	// What was typed may be secret.
	if err := os.MkdirAll(filepath.Dir(t.history), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(t.history, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = t.line.WriteHistory(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// into makes a conversation read from the terminal.
func (t *replTerminal) into(options *lua.LTable) {
	options.RawSetString("readChunk", t.L.NewFunction(t.readChunk))
	options.RawSetString("registerCompleter", t.L.NewFunction(func(L *lua.LState) int {
		t.complete = L.CheckFunction(1)
		return 0
	}))
}

// readChunk reads a line. Ctrl-C gives up the form that was begun; Ctrl-D ends
// the conversation.
func (t *replTerminal) readChunk(L *lua.LState) int {
	depth := 0
	if state, ok := L.Get(1).(*lua.LTable); ok {
		n, _ := state.RawGetString("stack-size").(lua.LNumber)
		depth = int(n)
	}
	text, err := t.line.Prompt(fennel.Prompt(0, depth == 0))
	switch {
	case errors.Is(err, liner.ErrPromptAborted):
		if depth > 0 {
			L.Error(lua.LString("input abandoned"), 0)
		}
		L.Push(lua.LString("\n"))
		return 1
	case errors.Is(err, io.EOF):
		fmt.Println()
		L.Push(lua.LNil)
		return 1
	case err != nil:
		L.RaiseError("%s", err.Error())
	}
	if strings.TrimSpace(text) != "" {
		t.line.AppendHistory(text)
	}
	L.Push(lua.LString(text + "\n"))
	return 1
}

// completions completes the word before the cursor.
func (t *replTerminal) completions(line string, pos int) (head string, list []string, tail string) {
	start := strings.LastIndexAny(line[:pos], " \t([{") + 1
	head, tail = line[:start], line[pos:]
	if t.complete == nil {
		return head, nil, tail
	}
	t.L.Push(t.complete)
	t.L.Push(lua.LString(line[start:pos]))
	t.L.Push(lua.LString(line[:pos]))
	if err := vm.PCall(t.L, 2, 1, nil); err != nil {
		return head, nil, tail // a completion that fails completes nothing
	}
	found, _ := t.L.Get(-1).(*lua.LTable)
	t.L.Pop(1)
	if found != nil {
		for i := 1; i <= found.Len(); i++ {
			list = append(list, found.RawGetInt(i).String())
		}
	}
	return head, list, tail
}
