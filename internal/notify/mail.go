package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"os"
	"os/exec"
	"strings"
	"time"
)

// mail hands one message to sendmail, which queues it: retrying is its work.
func (s Sender) mail(ctx context.Context, to []string, r Report) error {
	for _, a := range to {
		if strings.ContainsAny(a, "\r\n\x00") || strings.HasPrefix(a, "-") {
			return fmt.Errorf("%q is no mail address", a)
		}
	}
	path := s.Sendmail
	if path == "" {
		var err error
		if path, err = findSendmail(); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	// -i: a line with a single dot does not end the message. -t is not used:
	// recipients come from the rule, never from the message.
	cmd := exec.CommandContext(ctx, path, append([]string{"-i", "--"}, to...)...)
	cmd.Stdin = bytes.NewReader(message(to, r))
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", path, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func findSendmail() (string, error) {
	for _, p := range []string{"/usr/sbin/sendmail", "/usr/lib/sendmail", "/usr/bin/sendmail"} {
		if st, err := os.Stat(p); err == nil && st.Mode().Perm()&0o111 != 0 {
			return p, nil
		}
	}
	return "", errors.New("no sendmail on this machine: install a mail transport such as msmtp-mta or postfix, or remove mail from [[notify]]")
}

// message is a plain text mail (RFC 5322; the headers that stop other machines
// from answering it are RFC 3834's and RFC 8058's habit).
func message(to []string, r Report) []byte {
	var b bytes.Buffer
	header := func(k, v string) {
		v = strings.NewReplacer("\r", " ", "\n", " ").Replace(v)
		fmt.Fprintf(&b, "%s: %s\r\n", k, v)
	}
	header("To", strings.Join(to, ", "))
	header("Subject", mime.QEncoding.Encode("utf-8", "[quire] "+r.headline()))
	header("Date", time.Now().Format(time.RFC1123Z))
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	fmt.Fprintf(q, "%s\n\n", r.headline())
	fmt.Fprintf(q, "repository  %s\nref         %s\ncommit      %s\npushed by   %s\n", r.Run.GitDir, r.Run.Ref, r.Run.New, r.Run.Pusher)
	if r.Run.Reason != "" {
		fmt.Fprintf(q, "reason      %s\n", r.Run.Reason)
	}
	if r.Link != "" {
		fmt.Fprintf(q, "page        %s\n", r.Link)
	}
	fmt.Fprintln(q)
	for _, j := range r.Jobs {
		fmt.Fprintf(q, "%-10s %s  %.1fs  %s\n", j.State, j.ID, j.Duration.Seconds(), j.Reason)
	}
	fmt.Fprintf(q, "\nIts output: quire log %d\n", r.Run.Number)
	q.Close() // into memory: cannot fail
	return b.Bytes()
}
