package vm

import (
	"fmt"
	"strings"
	"time"
)

// strftime is C's, in the C locale.
func strftime(format string, t time.Time) string {
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		c := format[i]
		if (c == 'E' || c == 'O') && i+1 < len(format) {
			// The locale's alternative: the C locale has none.
			i++
			c = format[i]
		}
		if !strftimeOne(&b, c, t) {
			b.WriteByte('%')
			b.WriteByte(c)
		}
	}
	return b.String()
}

func strftimeOne(b *strings.Builder, c byte, t time.Time) bool {
	hour12 := t.Hour() % 12
	if hour12 == 0 {
		hour12 = 12
	}
	isoYear, isoWeek := t.ISOWeek()
	switch c {
	case 'a':
		b.WriteString(t.Format("Mon"))
	case 'A':
		b.WriteString(t.Weekday().String())
	case 'b', 'h':
		b.WriteString(t.Format("Jan"))
	case 'B':
		b.WriteString(t.Month().String())
	case 'c':
		b.WriteString(t.Format("Mon Jan _2 15:04:05 ") + fmt.Sprint(t.Year()))
	case 'C':
		fmt.Fprintf(b, "%02d", t.Year()/100)
	case 'd':
		fmt.Fprintf(b, "%02d", t.Day())
	case 'D', 'x':
		b.WriteString(t.Format("01/02/06"))
	case 'e':
		fmt.Fprintf(b, "%2d", t.Day())
	case 'F':
		fmt.Fprintf(b, "%d-%02d-%02d", t.Year(), t.Month(), t.Day())
	case 'g':
		fmt.Fprintf(b, "%02d", isoYear%100)
	case 'G':
		fmt.Fprint(b, isoYear)
	case 'H':
		fmt.Fprintf(b, "%02d", t.Hour())
	case 'I':
		fmt.Fprintf(b, "%02d", hour12)
	case 'j':
		fmt.Fprintf(b, "%03d", t.YearDay())
	case 'k':
		fmt.Fprintf(b, "%2d", t.Hour())
	case 'l':
		fmt.Fprintf(b, "%2d", hour12)
	case 'm':
		fmt.Fprintf(b, "%02d", t.Month())
	case 'M':
		fmt.Fprintf(b, "%02d", t.Minute())
	case 'n':
		b.WriteByte('\n')
	case 'p':
		b.WriteString(t.Format("PM"))
	case 'P':
		b.WriteString(t.Format("pm"))
	case 'r':
		fmt.Fprintf(b, "%02d%s", hour12, t.Format(":04:05 PM"))
	case 'R':
		b.WriteString(t.Format("15:04"))
	case 's':
		fmt.Fprint(b, t.Unix())
	case 'S':
		fmt.Fprintf(b, "%02d", t.Second())
	case 't':
		b.WriteByte('\t')
	case 'T', 'X':
		b.WriteString(t.Format("15:04:05"))
	case 'u':
		fmt.Fprint(b, (int(t.Weekday())+6)%7+1)
	case 'U':
		fmt.Fprintf(b, "%02d", (t.YearDay()+6-int(t.Weekday()))/7)
	case 'V':
		fmt.Fprintf(b, "%02d", isoWeek)
	case 'w':
		fmt.Fprint(b, int(t.Weekday()))
	case 'W':
		fmt.Fprintf(b, "%02d", (t.YearDay()+6-(int(t.Weekday())+6)%7)/7)
	case 'y':
		fmt.Fprintf(b, "%02d", t.Year()%100)
	case 'Y':
		fmt.Fprint(b, t.Year())
	case 'z':
		b.WriteString(t.Format("-0700"))
	case 'Z':
		name, _ := t.Zone()
		if name == "UTC" {
			name = "GMT" // what glibc calls the time of gmtime
		}
		b.WriteString(name)
	case '%':
		b.WriteByte('%')
	default:
		return false
	}
	return true
}
