package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"os"
	"os/exec"
	"strings"
	"time"
)

// mail hands one message to sendmail, which queues it: retrying is its work.
func (s Sender) mail(ctx context.Context, to []string, m message) error {
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
	cmd.Stdin = bytes.NewReader(m.mail(to))
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

// mail is the message as plain text mail (RFC 5322). Auto-Submitted keeps other
// machines from answering it (RFC 3834).
func (m message) mail(to []string) []byte {
	var b bytes.Buffer
	header := func(k, v string) {
		v = strings.NewReplacer("\r", " ", "\n", " ").Replace(v)
		fmt.Fprintf(&b, "%s: %s\r\n", k, v)
	}
	header("To", strings.Join(to, ", "))
	header("Subject", mime.QEncoding.Encode("utf-8", "[quire] "+m.subject))
	header("Date", time.Now().Format(time.RFC1123Z))
	header("Auto-Submitted", "auto-generated")
	header("MIME-Version", "1.0")
	header("Content-Type", "text/plain; charset=utf-8")
	header("Content-Transfer-Encoding", "quoted-printable")
	b.WriteString("\r\n")
	q := quotedprintable.NewWriter(&b)
	io.WriteString(q, m.text)
	q.Close() // into memory: cannot fail
	return b.Bytes()
}
