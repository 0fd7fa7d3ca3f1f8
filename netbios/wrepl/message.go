package wrepl

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/nameward/nameward/netbios/wins"
)

// Port is the TCP port of WINS replication, MS-WINSRA, Section 1.9.
const Port = 42

// opcode is the first word of each message in all that was captured.
const opcode = 0x7800

// Message is one message, without the length in front of it. MS-WINSRA, Section 2.2.2.
type Message struct {
	Opcode uint32 // ignored by all; 0 is written as what servers write
	Handle uint32 // of the association, as the receiver numbers it
	Body   Body   // of one of this package's types
}

// Body is what a message says: *Start, *Stop, TableQuery, *Table, *RecordQuery, *RecordReply or *Unknown.
type Body interface {
	append(dst []byte) []byte
	// String names the kind of message: "start", "table-query".
	String() string
}

// The message types, MS-WINSRA, Section 2.2.2.
const (
	typeStart       = 0
	typeStartReply  = 1
	typeStop        = 2
	typeReplication = 3
)

// Command says what a replication message is, MS-WINSRA, Section 2.2.6.
type Command uint32

// The commands.
const (
	commandTableQuery  Command = 0
	TableReply         Command = 1
	commandRecordQuery Command = 2
	commandRecordReply Command = 3
	// Update says that the sender has news: it is asked for them on the same connection, which is stopped afterwards.
	Update Command = 4
	// UpdatePropagate is Update, and the receiver is to tell his partners if he obtained records.
	UpdatePropagate Command = 5
	// Inform is Update on a connection that stays open.
	Inform Command = 8
	// InformPropagate is Inform, and the receiver is to tell his partners if he obtained records.
	InformPropagate Command = 9
)

func (c Command) String() string {
	switch c {
	case TableReply:
		return "table"
	case Update:
		return "update"
	case UpdatePropagate:
		return "update-propagate"
	case Inform:
		return "inform"
	case InformPropagate:
		return "inform-propagate"
	}
	return fmt.Sprintf("command-%d", uint32(c))
}

// propagates reports whether the receiver is to tell others.
func (c Command) propagates() bool { return c == UpdatePropagate || c == InformPropagate }

// The version of the protocol: the minor one is 5 from Windows 2000 on and 1 in NT 4.
const (
	Major           = 2
	Minor           = 5
	persistentMinor = 5 // from which on a server knows Inform
)

// Start opens an association or answers that, MS-WINSRA, Sections 2.2.3 and 2.2.4.
type Start struct {
	Reply        bool
	Handle       uint32 // of the association, as the sender numbers it
	Major, Minor uint16
	Rest         []byte // the padding, if it is not what all servers write
}

// startPadding makes a start message 41 octets long.
const startPadding = 21

// Stop ends an association, MS-WINSRA, Section 2.2.5.
type Stop struct {
	Reason uint32
	Rest   []byte // the padding, if it is not what all servers write
}

const stopPadding = 24

// The reasons of a Stop.
const (
	StopDone    = 0
	StopRefused = 4 // no partner, or an error
)

// TableQuery asks for the table of owners and versions, MS-WINSRA, Section 2.2.7.
type TableQuery struct{}

// Table has the owners whose records the sender has, with the highest version of each, as a reply or as a notification
// of news. MS-WINSRA, Sections 2.2.8 and 2.2.11.
type Table struct {
	Command Command // TableReply, Update, UpdatePropagate, Inform or InformPropagate
	Owners  []Owner
	Rest    []byte // behind the owners: the address of the server where the news began
}

// begun is the server where the news began, zero when the table does not say it.
func (t *Table) begun() (a wins.IPv4) {
	copy(a[:], t.Rest)
	return a
}

// Owner is a range of versions of the records of one owner.
type Owner struct {
	Addr     wins.IPv4
	Max, Min uint64
	Type     uint32 // 1 in all that was captured
}

// RecordQuery asks for the records of one owner with versions from Min to Max; Max 0 is no limit. MS-WINSRA, Section
// 2.2.9.
type RecordQuery struct {
	Owner
	Rest []byte
}

// RecordReply has them, MS-WINSRA, Section 2.2.10.
type RecordReply struct {
	Records []Record
	Rest    []byte
}

// Unknown is a message of another type or with another command, which stands in Rest then.
type Unknown struct {
	Type uint32
	Rest []byte
}

func (s *Start) String() string {
	if s.Reply {
		return "start-reply"
	}
	return "start"
}

func (*Stop) String() string        { return "stop" }
func (TableQuery) String() string   { return "table-query" }
func (t *Table) String() string     { return t.Command.String() }
func (*RecordQuery) String() string { return "record-query" }
func (*RecordReply) String() string { return "records" }
func (*Unknown) String() string     { return "unknown" }

// The classes of a malformed message.
var (
	ErrShort  = errors.New("message ends too early")
	ErrCount  = errors.New("more entries are announced than fit into the message")
	ErrName   = errors.New("length of a name is not 17 to 255")
	ErrLength = errors.New("message is longer than it may be")
)

// Parse reads one message, of which b is all but the length in front. Nothing of b is kept.
func Parse(b []byte) (Message, error) {
	r := reader{b: b}
	m := Message{Opcode: r.u32(), Handle: r.u32()}
	switch kind := r.u32(); kind {
	case typeStart, typeStartReply:
		s := &Start{Reply: kind == typeStartReply, Handle: r.u32(), Major: r.u16(), Minor: r.u16()}
		s.Rest = r.padding(startPadding)
		m.Body = s
	case typeStop:
		m.Body = &Stop{Reason: r.u32(), Rest: r.padding(stopPadding)}
	case typeReplication:
		m.Body = r.replication()
	default:
		m.Body = &Unknown{Type: kind, Rest: r.rest()}
	}
	if r.err != nil {
		return Message{}, r.err
	}
	return m, nil
}

func (r *reader) replication() Body {
	start := r.b
	switch c := Command(r.u32()); c {
	case commandTableQuery:
		if len(r.b) == 0 {
			return TableQuery{}
		}
	case TableReply, Update, UpdatePropagate, Inform, InformPropagate:
		t := &Table{Command: c}
		for range r.count(ownerLen) {
			t.Owners = append(t.Owners, r.owner())
		}
		t.Rest = r.rest()
		return t
	case commandRecordQuery:
		return &RecordQuery{Owner: r.owner(), Rest: r.rest()}
	case commandRecordReply:
		n := r.count(minRecordLen)
		reply := &RecordReply{Records: make([]Record, 0, n)}
		for range n {
			reply.Records = append(reply.Records, r.record())
		}
		reply.Rest = r.rest()
		return reply
	}
	r.b = start
	return &Unknown{Type: typeReplication, Rest: r.rest()}
}

// ownerLen is the length of an entry of a table, MS-WINSRA, Section 2.2.8.1.
const ownerLen = 24

func (r *reader) owner() Owner {
	return Owner{Addr: r.ipv4(), Max: r.u64(), Min: r.u64(), Type: r.u32()}
}

// Append appends the message with its length in front.
func (m Message) Append(dst []byte) []byte {
	begin := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	op := m.Opcode
	if op == 0 {
		op = opcode
	}
	dst = appendU32(dst, op, m.Handle)
	dst = m.Body.append(dst)
	binary.BigEndian.PutUint32(dst[begin:], uint32(len(dst)-begin-4))
	return dst
}

func (s *Start) append(dst []byte) []byte {
	kind := uint32(typeStart)
	if s.Reply {
		kind = typeStartReply
	}
	dst = appendU32(dst, kind, s.Handle)
	dst = binary.BigEndian.AppendUint16(dst, s.Major)
	dst = binary.BigEndian.AppendUint16(dst, s.Minor)
	return appendPadding(dst, s.Rest, startPadding)
}

func (s *Stop) append(dst []byte) []byte {
	return appendPadding(appendU32(dst, typeStop, s.Reason), s.Rest, stopPadding)
}

func (TableQuery) append(dst []byte) []byte {
	return appendU32(dst, typeReplication, uint32(commandTableQuery))
}

func (t *Table) append(dst []byte) []byte {
	dst = appendU32(dst, typeReplication, uint32(t.Command), uint32(len(t.Owners)))
	for _, o := range t.Owners {
		dst = o.append(dst)
	}
	return append(dst, t.Rest...)
}

func (o Owner) append(dst []byte) []byte {
	dst = append(dst, o.Addr[:]...)
	dst = binary.BigEndian.AppendUint64(dst, o.Max)
	dst = binary.BigEndian.AppendUint64(dst, o.Min)
	return appendU32(dst, o.Type)
}

func (q *RecordQuery) append(dst []byte) []byte {
	return append(q.Owner.append(appendU32(dst, typeReplication, uint32(commandRecordQuery))), q.Rest...)
}

func (q *RecordReply) append(dst []byte) []byte {
	dst = appendU32(dst, typeReplication, uint32(commandRecordReply), uint32(len(q.Records)))
	for i := range q.Records {
		dst = q.Records[i].append(dst)
	}
	return append(dst, q.Rest...)
}

func (u *Unknown) append(dst []byte) []byte { return append(appendU32(dst, u.Type), u.Rest...) }
