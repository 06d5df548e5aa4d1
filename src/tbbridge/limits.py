"""Every bound in tbbridge, each with its reason. Settings may move those that `server/settings.py` names."""

from __future__ import annotations

from typing import Final

KiB: Final = 1024
MiB: Final = 1024 * KiB

# --- names -----------------------------------------------------------------------------------------------------------
# Long enough for a run named by its hyperparameters; short enough that ten of them fit a line of an error.
RUN_MAX_BYTES: Final = 512
# NAME_MAX of every file system in common use (ext4, xfs, APFS, NTFS counts UTF-16 units): a part is a folder's name.
RUN_PART_MAX_BYTES: Final = 255
# A tag is repeated in each of its records; at 1 KiB a scalar record is twenty times its usual size.
TAG_MAX_BYTES: Final = 1 * KiB
# A UUID is 36, a host name with a process id and a counter rarely over 100.
WRITER_MAX_BYTES: Final = 128

# --- one request ------------------------------------------------------------------------------------------------------
# OTLP's receivers default to 4 to 20 MiB; 32 MiB is half a million points of JSON, or one large image.
BODY_MAX_BYTES: Final = 32 * MiB
# After decompression. Columns of a smooth series shrink about fourfold; more than that is more likely a bomb.
DECODED_MAX_BYTES: Final = 64 * MiB
# Values, lists and objects in one JSON body, counted by its commas and brackets. As Python objects one of them takes up to 72
# bytes, so this holds a parse below 600 MB; JSON at eight bytes a value reaches DECODED_MAX_BYTES first.
JSON_MAX_VALUES: Final = 8 * MiB
# Runs, columns and summaries in one request. Each takes about 500 bytes and 4 us however short it is, so 2 MiB of nothing but
# names would be 300 MB; a client's own requests have 140,000 at the very most.
ITEMS_MAX: Final = 250_000
# A body up to this length is decoded on the event loop, about 10 ms of JSON at the most; a longer one in a thread.
DECODE_INLINE_MAX_BYTES: Final = 256 * KiB
# All bodies being read and parsed at one time. Parsed JSON needs up to six times its length; this keeps 1 GiB machines safe.
BODIES_IN_FLIGHT_MAX_BYTES: Final = 128 * MiB
# From the first bytes of a body to its last. 32 MiB then need 4 Mbit/s; a sender that stalls must not hold memory for ever.
BODY_READ_TIMEOUT_S: Final = 60.0
# A zstd frame may ask its reader for a window of up to 2 GiB; `zstd -19` asks for 8 MiB, and RFC 8878 asks readers for as much.
ZSTD_WINDOW_LOG_MAX: Final = 26
# gzip members or zstd frames in one body. bgzip makes one a 64 KiB of input: 1,024 of them reach DECODED_MAX_BYTES.
COMPRESSED_FRAMES_MAX: Final = 4096
# Compressed bodies above this are decompressed in a thread: 16 KiB can become 16 MiB, a hundredth of a second.
DECOMPRESS_IN_LOOP_MAX_BYTES: Final = 16 * KiB
# Bodies decompressed in threads at one time: each may make DECODED_MAX_BYTES before it is counted among the bodies in flight.
DECOMPRESS_THREADS: Final = 2
# The id that a sender gives a request: a UUID is 36, a W3C trace and span id together 55.
REQUEST_ID_MAX_BYTES: Final = 128
# Clients whose reports of dropped and spooled values are remembered: about 200 bytes each.
CLIENT_REPORTS_KEPT: Final = 10_000
# Idle connections are kept for this long: senders that report once a minute need not connect anew each time.
KEEP_ALIVE_S: Final = 75
# Memory that was freed and is kept for the next batch instead of being returned: eight requests of 10,000 points, in every form
# that they pass through, are 10 MiB; a group at its largest is GROUP_MAX_BYTES.
MEMORY_KEPT_BYTES: Final = 64 * MiB
# Single blocks up to this length are kept too: as far as glibc goes.
MEMORY_HEAP_BLOCK_BYTES: Final = 32 * MiB
# How often the process looks whether it holds more than it needs, and how much more is worth giving back: 16 MiB take 3 ms.
MEMORY_LOOK_S: Final = 10.0
MEMORY_SLACK_BYTES: Final = 16 * MiB
# A text is shown on one page of a browser.
TEXT_MAX_BYTES: Final = 1 * MiB
# Raw values of one histogram: 8 MiB as doubles, more weights than a layer of most models has. Send buckets beyond it.
HISTOGRAM_MAX_VALUES: Final = 1024 * KiB
# Ready buckets of one histogram; tensorboardX's finest default has 1,549.
HISTOGRAM_MAX_BUCKETS: Final = 4 * KiB
# What is shown in place of a tag is as long as a tag; a description is a paragraph or a page of Markdown, once a tag and file.
DISPLAY_NAME_MAX_BYTES: Final = 1 * KiB
DESCRIPTION_MAX_BYTES: Final = 16 * KiB
# One value of any kind: what fits a body in base64 (4 bytes for 3), and no more than TensorBoard loads into memory lightly.
SUMMARY_MAX_BYTES: Final = 24 * MiB
# Images of one value, as TensorFlow's writers keep; the page shows them side by side.
IMAGES_MAX: Final = 64
# Pixels of one image: 8192 x 8192, as much as every browser can draw. A header may promise 2^62 of them in a hundred bytes,
# Markers and padding bytes before a JPEG's frame header; cameras write some dozens. Looked at one by one: 10 ms for all.
JPEG_MARKERS_MAX: Final = 64 * KiB
# and whoever shows the picture has to unpack it.
IMAGE_MAX_PIXELS: Final = 64 * MiB
# Clips of one value, and what a WAV may say of itself: studio gear ends at 768 kHz; eight channels are 7.1 sound.
AUDIO_CLIPS_MAX: Final = 16
AUDIO_MAX_RATE_HZ: Final = 768_000
AUDIO_MAX_CHANNELS: Final = 8
# Thresholds of one PR curve; TensorBoard draws 201 of its own accord, a screen has 4,000 columns.
PR_CURVE_MAX_THRESHOLDS: Final = 10_000
# Vertices, and faces, of one value over all its samples: the browser draws a million triangles, with patience.
MESH_MAX_VERTICES: Final = 1024 * KiB
MESH_MAX_FACES: Final = 1024 * KiB
# The JSON text that sets a mesh's camera, lights and material.
MESH_CONFIG_MAX_BYTES: Final = 64 * KiB
# Numbers of one embedding, 16 MiB as float32, four times as much as text: 16,384 points of 256 dimensions, more than the
# Projector moves fluently.
EMBEDDING_MAX_VALUES: Final = 4 * MiB
# Text of one embedding's metadata, all cells together.
EMBEDDING_METADATA_MAX_BYTES: Final = 16 * MiB
# The Projector refuses larger textures (tensorboard/plugins/projector: 8192 px).
SPRITE_MAX_SIDE_PX: Final = 8192
# Hyperparameters of one session; each is a column of a table.
HPARAMS_MAX: Final = 1000
HPARAM_NAME_MAX_BYTES: Final = 1 * KiB
HPARAM_TEXT_MAX_BYTES: Final = 16 * KiB
# Charts of one custom-scalars layout, over all categories; a page of more loads for minutes.
LAYOUT_MAX_CHARTS: Final = 1000
# Dimensions of a tensor: NumPy's own bound before 2.0.
TENSOR_MAX_RANK: Final = 32
# One log record: a traceback of a deep recursion has 100 KiB; like a text, it is read by a person.
LOG_MESSAGE_MAX_BYTES: Final = 1 * MiB
# Log records in one body. In protobuf an empty one takes two bytes, and here two hundred; a client's body has under 10,000.
LOG_RECORDS_MAX: Final = 100_000
# Python's levels go up to 50; some programs add their own above it.
LOG_LEVEL_MAX: Final = 255
# A dotted module path.
LOGGER_MAX_BYTES: Final = 256
# Objects made before Python looks for unused cycles: few of ours are in one, and with its own 700 a tenth of the processor, and
# at a thousand requests a third of it, goes into looking. At 10,000 what waits to be found is a few MiB.
GARBAGE_THRESHOLDS: Final = (10_000, 20, 50)
# The years 1 to 9999, in seconds since 1970: what a log line's RFC 3339 time can say.
LOG_TIME_MIN_S: Final = -62_135_596_800.0
LOG_TIME_MAX_S: Final = 253_402_300_799.0
# Groups of one server, and those listed in an error. Tensorplex's users had a handful.
GROUPS_MAX: Final = 1000
GROUPS_SHOWN: Final = 20
# The whole table as a body or a file: 1,000 groups with a few patterns each.
GROUPS_MAX_BYTES: Final = 1 * MiB
# Patterns of one combined group: all of them may be tried for a member's name, at a third of a microsecond each.
GROUP_PATTERNS_MAX: Final = 100
GROUP_PATTERN_MAX_BYTES: Final = 256
# A bin is a part of a tag.
GROUP_BIN_MAX_BYTES: Final = 256
# Members of an indexed group that share a chart, and the length of a member's number: both far beyond what can be drawn.
GROUP_BIN_SIZE_MAX: Final = 10**9
MEMBER_INDEX_MAX_DIGITS: Final = 18
# Members, and tags of members, whose resolved names are kept ready: about 500 bytes each.
MEMBERS_KEPT: Final = 16_384
MEMBER_TAGS_KEPT: Final = 65_536
# Errors, rejected items and warnings listed in one answer: nobody reads more, and an answer should not outgrow its question.
REPORTED_ITEMS: Final = 100

# --- the pipeline -----------------------------------------------------------------------------------------------------
# Batches admitted and not yet journalled. At 24 bytes a point this is 2.8 million points, half a second of a full load.
QUEUE_MAX_BYTES: Final = 64 * MiB
# While writes are refused, a queue filled to this share counts as full: who is refused then need not be read and parsed before.
QUEUE_FULL_SHARE: Final = 7 / 8
# One group commit: large enough that fdatasync no longer matters, small enough that its encoding holds nobody up for long.
GROUP_MAX_BYTES: Final = 16 * MiB
# What a batch costs besides its arrays: objects, future, names. Keeps a million empty requests from being free.
BATCH_OVERHEAD_BYTES: Final = 1 * KiB
ITEM_OVERHEAD_BYTES: Final = 512
# A journal segment. Two or three of them exist at a time; a start replays at most two.
SEGMENT_BYTES: Final = 64 * MiB
# Entries in one segment. One-point batches are played back at about 50,000 a second, and a start plays at most two segments.
SEGMENT_ENTRIES: Final = 100_000
# Writers whose last sequence number is remembered, about 100 bytes each. The one silent for longest is forgotten first.
WRITERS_MAX: Final = 100_000
# Event files kept open: a thousand runs that are written to each second, and some. Beyond it the one unused for longest is
# closed; opening it again is a walk down its folders, a tenth of what a small batch costs.
OPEN_FILES_MAX: Final = 1_536
# ... but no more than this part of the descriptors that the process may have, whatever is asked for: connections need them too.
OPEN_FILES_SHARE: Final = 0.25

# How long what a removed run gets next is kept from TensorBoard: two cycles of its default reload of 5 s, so that each of its
# readers has found the run's folder gone once.
VEIL_S: Final = 10.0
# Before that: how long a removed run's folder outlives its files, so that a reader in the midst of them stumbles over a
# missing file and not over a missing folder (veils.py). TensorBoard's Python reader notices when it has gone through what it
# has read ahead, up to 16 MiB: at 1 MB/s of scalars on a quiet machine, for which half is counted here.
EMPTIED_S: Final = 0.5
EMPTIED_BYTES_PER_S: Final = 500_000
# ... but no longer than this, which nobody would wait for to see a run begin again: runs of 2 MB are safe, larger ones if they
# were read once. And no more than this part of the veil, for who reloads more often and wants to see changes sooner.
EMPTIED_MAX_S: Final = 5.0
EMPTIED_SHARE: Final = 0.5
# What lifting a veil may be late, and how long a rename waits beyond it for the name to be free.
VEIL_GRACE_S: Final = 2.0
# How soon a stop tries again to lift them when the queue has no room for that.
VEIL_RETRY_S: Final = 0.1
# Veils lifted together: their folders are then made durable by one sync of the disk, not one each.
VEILS_AT_ONCE: Final = 1000

# --- logs --------------------------------------------------------------------------------------------------------------
# A file of a log: what an editor opens without complaint.
LOGS_FILE_MAX_BYTES: Final = 16 * MiB
# All logs of a log folder: a thousand nodes with 1 MiB each; the oldest files go first.
LOGS_MAX_BYTES: Final = 1024 * MiB
# Log files kept open for writing, beside OPEN_FILES_MAX.
LOGS_OPEN_FILES_MAX: Final = 128
# Logs of which nothing is left, whose next file must have a number of its own. Of more, only the highest number is remembered.
LOGS_ENDED_MAX: Final = 10_000
# Folders of logs whose files' names are remembered: else the first record of each of many logs would list them all.
LOGS_FOLDERS_KEPT: Final = 1000
# The log says once in this time that records of logs have no place on the disk: they may come a thousand times a second.
LOGS_LOST_LOG_S: Final = 60.0
# Records that one GET looks back for; more is read by asking for everything, which is streamed.
LOGS_LOOK_BACK_MAX: Final = 100_000
# Bytes of a log read at one time, whether one record fits in it or not: then twice as much, up to
# the second: one record with each of its characters escaped.
LOGS_WINDOW_BYTES: Final = 256 * KiB
LOGS_WINDOW_MAX_BYTES: Final = 16 * MiB
# Between two looks at a log that is followed: quick enough for eyes, and a hundred followers cost a hundredth of a core.
LOGS_POLL_S: Final = 0.2
# Requests that follow logs at one time; each holds a connection for hours.
LOGS_FOLLOWERS_MAX: Final = 100
# A quiet stream carries an empty line this often, so that proxies keep it and a dead reader is noticed.
LOGS_HEARTBEAT_S: Final = 15.0
# A reader of a stream that takes nothing for so long is let go; it may come back and go on where it was.
LOGS_STALL_S: Final = 60.0

# --- the live feed ------------------------------------------------------------------------------------------------------
# Listeners at one time: each holds a connection, and makes each event cost about 0.1 ms more.
LIVE_LISTENERS_MAX: Final = 100
# Events kept for those who come back, as JSON: a minute of 50 runs with 20 tags and 10 points a second each, sent step by step.
LIVE_RING_BYTES: Final = 16 * MiB
# How long they are kept for when nobody listens any more: a laptop that changes its network is back by then.
LIVE_KEPT_S: Final = 60.0
# What a listener has not taken yet, as it is kept, and for how long, before points are left out; it is told so. If that comes
# again within the third time, it is ended: it will not get better, and can read what it wants.
LIVE_LAG_BYTES: Final = 4 * MiB
LIVE_LAG_S: Final = 1.0
LIVE_LAG_AGAIN_S: Final = 30.0
# Of that it is given so much at one time, as JSON: 1 ms of making it. It is held once more until it is taken.
LIVE_PIECE_BYTES: Final = 256 * KiB
# A listener that takes nothing for so long is ended.
LIVE_STALL_S: Final = 20.0
# What the end of a feed may take: a stop must not wait for those who listen.
LIVE_GOODBYE_S: Final = 0.25
# What a listener waits before it comes back, by our word.
LIVE_RETRY_S: Final = 1.0
# A feed on which nothing happens carries a comment this often, so that proxies keep it.
LIVE_HEARTBEAT_S: Final = 15.0
# Values, and characters of log records, that are told of one by one at one time: 10 ms of making their JSON. Who writes more at
# once does not expect anybody to watch each of them; what is left out is counted, and the listener reads it.
LIVE_GROUP_ITEMS: Final = 20_000
LIVE_GROUP_LOG_BYTES: Final = 1 * MiB
# Batches that wait to become events: as much as the queue takes before them, in its own way of counting.
LIVE_PENDING_BYTES: Final = 16 * MiB
# After events that took a while to make and to send there are none for so many times as long: a tenth of the event loop.
LIVE_PAUSE_TIMES: Final = 9
# The least pause between events: nobody sees a hundredth of a second, and 500 writes a second become 100 events.
LIVE_PAUSE_MIN_S: Final = 0.01
# How often listeners are told how the bridge is, and their tokens looked at.
LIVE_BEAT_S: Final = 1.0
# A client that sent something in so long is one that writes: twice its heartbeat.
LIVE_WRITERS_S: Final = 60.0

# --- who is let in ----------------------------------------------------------------------------------------------------
# Tokens of one bridge: each is compared with every stranger that comes, a third of a microsecond apiece.
TOKENS_MAX: Final = 100
# A token of TBBRIDGE_TOKENS that somebody made up: 20 characters of letters and digits are 100 bits, beyond any guessing.
TOKEN_MIN_CHARACTERS: Final = 20
# The tokens file is looked at this often, so that a revoked token is refused a second later.
TOKENS_LOOK_S: Final = 1.0
# The log says once in this time that requests are refused for their token, their Host or their Origin: a stranger's flood costs
# less than a megabyte of log a day, and who waits for points finds a line.
DENIALS_LOG_S: Final = 60.0

# Requests under way in all; a write beyond them gets 429 at once. A thousand clients that flush in the same moment fit, and
# each is answered within a fifth of a second: a small one costs about 0.1 ms.
REQUESTS_MAX: Final = 1024
# The same once writes were refused for longer than a burst takes, without a pause as long as a slow disk's group commit: then
# those under way are a queue that stands, and all they get from being many is to wait for each other. More than this make
# nothing quicker, and large bodies slower (they outgrow the processor's caches); with 1,024 each waits eight times as long.
REQUESTS_STANDING_MAX: Final = 128
OVERLOAD_BURST_S: Final = 0.5
OVERLOAD_PAUSE_S: Final = 0.25
# Open connections, in all and from one address (an IPv6 network of /64 counts as one). An idle one costs about 13 KiB, so all
# of them 52 MiB; a thousand clients behind one router fit, and no address alone can keep all others out.
CONNECTIONS_MAX: Final = 4096
CONNECTIONS_PER_ADDRESS_MAX: Final = 2048
# Requests of one address that are worked on at one time: a thousand clients of one machine may all flush in the same moment.
REQUESTS_PER_ADDRESS_MAX: Final = 1024
# Descriptors that are left to files of ours which are open for a moment (reads, archives, segments, checkpoints), besides those
# of event files and logs: connections never use them up, or a flood of them would stop the journal.
FILES_RESERVED: Final = 256
# From a connection's beginning, or the first byte of a further request, to the end of the request's head. A head is one packet
# or two; on the slowest line it takes two seconds.
HEAD_TIMEOUT_S: Final = 10.0
# A request's head, and what surrounds its body besides (sizes of chunks, trailers): as much as h11 and most proxies take.
HEAD_MAX_BYTES: Final = 64 * KiB
# A chunk of one byte has five around it; what surrounds a body may be so many times as long as the body itself.
FRAMING_TIMES: Final = 16
# Requests that wait on one connection behind the one that is being answered, 3 KiB each; one packet may hold ten thousand of
# them. No client in use sends the next before the answer.
PIPELINED_MAX: Final = 32
# A TLS handshake, which is four packets; and a goodbye, for which a stop must not wait.
TLS_HANDSHAKE_S: Final = 10.0
TLS_GOODBYE_S: Final = 1.0
# An answer has to be taken at this rate, over as long a time as the second says; else whoever asked is gone, or means harm.
ANSWER_MIN_BYTES_PER_S: Final = 1 * KiB
ANSWER_STALL_S: Final = 60.0
# Runs of one log folder, each a folder and about 1 KiB of memory. TensorBoard's page is of no use above some thousands.
RUNS_MAX: Final = 100_000
# Tags of one run, about 250 bytes of memory each. A histogram a layer and a curve an expert of the largest models are below it.
TAGS_PER_RUN_MAX: Final = 100_000

# --- the command line -------------------------------------------------------------------------------------------------
# Open files that macOS lets a process ask for (its OPEN_MAX) although it calls its own hard limit infinite.
FILES_ALWAYS_GRANTED: Final = 10_240
# Lines of TensorBoard's output that are kept to show when it dies; its longest usual traceback is about as long.
TENSORBOARD_TAIL_LINES: Final = 30

# --- the encoder ------------------------------------------------------------------------------------------------------
# Tags whose constant bytes are kept ready: about 200 bytes each, 1.2 KiB at worst.
ENCODER_TAGS_KEPT: Final = 4096
# Record lengths whose 12 header bytes are kept ready. Scalar records have at most 1,100 different ones.
ENCODER_SHAPES_KEPT: Final = 2048

# --- the clients ------------------------------------------------------------------------------------------------------
# Points waiting in a client, about 200 bytes each while they are Python objects: 200 MB, an hour of 300 points a second.
CLIENT_QUEUE_MAX_POINTS: Final = 1_000_000
# Points that `add_scalars` keeps in one piece: a hundredth of a batch, so that a full queue drops little more than it has to.
CLIENT_ROW_MAX_POINTS: Final = 1_024
# Sets of tags of which a run remembers how to keep them so: 40 kB each at worst. A training has a few.
CLIENT_ROW_FORMS_KEPT: Final = 64
# Values of other kinds waiting in a client: texts, histogram values, pictures, sounds.
CLIENT_QUEUE_MAX_BYTES: Final = 64 * MiB
# One request of a client, well below BODY_MAX_BYTES.
CLIENT_BATCH_MAX_BYTES: Final = 4 * MiB
# Points and bytes that one open step of a run holds back, waiting for its wall time; then they go to the sender as they are.
CLIENT_FRAME_MAX_POINTS: Final = 1_000
CLIENT_FRAME_MAX_BYTES: Final = 4 * MiB
# A histogram of more values is sorted into buckets during the call, so that its copy need not wait in memory.
CLIENT_COPY_MAX_BYTES: Final = 8 * MiB
# What waits is sent this often: half of TensorBoard's shortest reload, so that a point waits less than a second for both in the
# median, and few enough requests for a thousand clients.
CLIENT_FLUSH_INTERVAL_S: Final = 0.5
# Time for one request, answer included: a server that takes longer to journal 4 MiB is in trouble, and a repeat is free.
CLIENT_REQUEST_TIMEOUT_S: Final = 30.0
# What `close` and the end of the program may take to send what is left: people wait ten seconds, not a minute.
CLIENT_CLOSE_TIMEOUT_S: Final = 10.0
# What `flush` waits unless told otherwise: a restart of the server fits in.
CLIENT_FLUSH_TIMEOUT_S: Final = 60.0
# Between two tries: from a restart nobody should notice to an outage that a thousand waiting clients should not worsen.
CLIENT_BACKOFF_MIN_S: Final = 0.1
CLIENT_BACKOFF_MAX_S: Final = 10.0
# A server may ask for a pause; a clock that is wrong, or a proxy's "come back tomorrow", must not silence a client.
CLIENT_RETRY_AFTER_MAX_S: Final = 60.0
# Tries of a batch that is answered with 500 or with nonsense, about a quarter of a minute; then it counts as rejected, so
# that it cannot block what follows.
CLIENT_ODD_ANSWERS_MAX: Final = 10
# Different warnings that one client logs; each once.
CLIENT_WARNINGS_MAX: Final = 1_000
# All files of a spool folder: 170 million points, a week of 300 a second; beyond it points wait in memory again.
CLIENT_SPOOL_MAX_BYTES: Final = 4096 * MiB
# What spooling leaves free on the disk: the cache folder is on the disk that the user works on.
CLIENT_SPOOL_DISK_LEFT_BYTES: Final = 256 * MiB
# A request without an answer for so long: what it holds, and what is logged meanwhile, goes to the spool too.
CLIENT_SLOW_ANSWER_S: Final = 0.5
# Tries that fail in a row before points are spooled: one is a connection that was closed while idle.
CLIENT_SPOOL_TRIES: Final = 2
# How often the reader of a spool stores how far it is. What it sends again after a crash is free, and takes no longer.
SPOOL_PROGRESS_S: Final = 1.0
# What a new spool waits for its lock. A `tbbridge sync` that looks at it just then has it for a hundredth of that.
SPOOL_LOCK_WAIT_S: Final = 0.1
# The head of a spool file is read from a file that anybody may have written.
SPOOL_HEAD_MAX_BYTES: Final = 16 * KiB
# A run of which nothing was heard shows that it lives this often, beside its values.
CLIENT_HEARTBEAT_S: Final = 30.0
# A running run of which nothing was heard for so long is lost: three heartbeats, and the longest pause between two tries.
RUN_LOST_AFTER_S: Final = 100.0
# A line of the live feed: the largest event has 20,000 points, or 1 MiB of log records with every character escaped.
CLIENT_EVENT_MAX_BYTES: Final = 16 * MiB
# A token as a header; ours have 48 characters.
TOKEN_MAX_CHARACTERS: Final = 4096

# --- from users' values to kinds --------------------------------------------------------------------------------------------
# How far pixels and samples may lie out of their range, as a part of it, and still be brought in without a word: resampling
# with a cubic or sinc filter overshoots by up to a tenth. More is a mistake of scale.
CONVERT_OVERSHOOT: Final = 0.1
# Images in one row of a grid: as in tensorboardX and torchvision.
GRID_COLUMNS: Final = 8
# Browsers play a GIF frame that asks for less at ten frames a second.
GIF_FRAME_MIN_MS: Final = 20

# --- the local summary writer -----------------------------------------------------------------------------------------
# Points and bytes of other values that wait for the writer thread. Then the call that logs writes them out itself: a slow
# disk is felt, nothing is dropped, and memory stays below 100 MB for points and twice the bytes for the rest.
LOCAL_QUEUE_MAX_POINTS: Final = 500_000
LOCAL_QUEUE_MAX_BYTES: Final = 64 * MiB
# Raw histogram values that wait for the writer thread; beyond it the call sorts its values itself. Memory that was not used
# before costs as much as sorting (a page fault for each 4 KiB), and what was just freed is still in the processor's cache.
LOCAL_RAW_MAX_BYTES: Final = 1 * MiB
# Points encoded at one time: enough for the columnar encoder, and 60 MB of arrays and records at most.
LOCAL_BATCH_POINTS: Final = 200_000
# What was logged is in the file after this long, even if `flush_secs` would allow more: TensorBoard may show it sooner.
LOCAL_WRITE_INTERVAL_S: Final = 1.0
# Between two early writes because `max_queue` values wait: batches stay large while a loop logs as fast as it can.
LOCAL_WRITE_PAUSE_S: Final = 0.1
# Event files that one writer keeps open (add_scalars makes one for each of its keys); opening again costs about 10 us.
LOCAL_OPEN_FILES_MAX: Final = 64
# Points that export_scalars_to_json keeps in memory, 24 bytes each; beyond it the oldest half goes.
LOCAL_EXPORT_MAX_POINTS: Final = 1_000_000

# --- reading back -----------------------------------------------------------------------------------------------------
# Payload up to which records of one length are read together; beyond it they are no scalars, and tables would pile up.
READER_ROW_MAX_BYTES: Final = 2 * KiB
# Records looked at before any of them is decoded: enough of one length come together, and garbage is noticed early.
READER_BLOCK_RECORDS: Final = 65_536
# Points that one GET answers; more must be asked for with max_points. As JSON this is about 400 MB in memory.
READ_MAX_POINTS: Final = 5_000_000
# Points of all series in one answer to a page, made in one piece: 45 MB of JSON, half a second. A screen has no place for them.
READ_MANY_MAX_POINTS: Final = 1_000_000
# Points turned into JSON at one time; between two such pieces (about a millisecond) the event loop serves others.
READ_PIECE_POINTS: Final = 10_000
# Lines of CSV made at one time; numbers become text ten times slower than in JSON, and this is the same millisecond.
CSV_PIECE_LINES: Final = 1_000
# Points of one tag that a GET with max_points or steps looks through: 24 bytes each, 480 MB.
READ_SCAN_MAX_POINTS: Final = 20_000_000
# Points of scalar tags that were read lately and are kept for the next question, 24 bytes each: 96 MB. A tag of few points
# costs as much as so many for its arrays and names.
SERIES_KEPT_POINTS: Final = 4_000_000
SERIES_KEPT_OVERHEAD_POINTS: Final = 50
# Tags of which it is remembered how much was read in pieces, about 200 bytes each.
SERIES_IN_PIECES_KEPT: Final = 10_000
# An overview of a tag: stretches of which the first, the lowest and the highest point are kept, and a NaN. More than a chart is
# wide in pixels, and at least half as many always.
OVERVIEW_STRETCHES: Final = 1024
# Points of all overviews, 28 bytes each: 165 MB, enough for 2,000 to 4,000 tags of any length.
OVERVIEWS_KEPT_POINTS: Final = 6_000_000
# GETs that look through event files at one time; others wait. Each may hold its points twice while it joins them, near 1 GB at
# READ_SCAN_MAX_POINTS, and two keep two cores busy.
READS_AT_ONCE: Final = 2
# Points that are thinned out at one time, at about 40 bytes each meanwhile.
DOWNSAMPLE_BLOCK_POINTS: Final = 1_000_000
# Bytes of an event file in memory at one time, and the largest record that is read (an image, a mesh). Of each such piece it is
# known which steps are in it, so a range of steps is found to this accuracy: 40,000 points, 10 ms.
READ_WINDOW_BYTES: Final = 2 * MiB
READ_RECORD_MAX_BYTES: Final = 256 * MiB
# Points of several tags that an export holds to give each tag in one piece, about 48 MB; what is more takes another pass over
# the run's files. A tag with more points than that is sent as it is read.
EXPORT_HELD_POINTS: Final = 1_000_000
# Event files that are looked through when the bridge starts, before anybody asks: 80 million points, half a minute of one core
# that has nothing else to do. A larger log folder is looked through when it is asked for, as all are that change later.
LOOK_AHEAD_BYTES: Final = 4096 * MiB
# The list of runs is kept ready; what other programs change is looked for when it is asked for and the last look is this old.
# If nobody asked for longer than the second time, the asker waits for a new look. Where looking takes long, both are at least
# so many times as long: then a tenth of a core goes into it at the most.
LISTING_LOOK_S: Final = 2.0
LISTING_STALE_S: Final = 10.0
LISTING_LOOK_TIMES: Final = 10
LISTING_STALE_TIMES: Final = 20
# A list of runs below this is sent as it is: it fits what a socket takes at one time.
LISTING_PACK_MIN_BYTES: Final = 64 * KiB
# Text of an export made at one time, in a thread: about 50 ms of work, against 0.1 ms to go there and back.
EXPORT_PIECE_BYTES: Final = 1 * MiB
# Values of other kinds than scalars in one answer, and their bytes as stored; in JSON they take up to twice as many.
READ_MAX_VALUES: Final = 100_000
READ_MAX_VALUES_BYTES: Final = 64 * MiB
# Elements of a tensor that its file holds as one number "for all": more would be a bomb of a few bytes.
TENSOR_REPEATED_MAX: Final = 1024 * KiB
# Bins of candlesticks in one answer: a screen has 4,000 columns, and sorting within a bin costs 10 us.
CANDLESTICK_MAX_BINS: Final = 10_000
# Size of a projector_config.pbtxt that is read: an entry has about 200 bytes, so this is 40,000 embeddings.
PROJECTOR_CONFIG_MAX_BYTES: Final = 8 * MiB
# Times that a run's files are looked for again when they move while they are read (a veil is lifted, a run renamed).
READ_TRIES: Final = 5
# Tags (and files) whose totals are remembered between two looks at the runs, about 250 bytes each; then files are read anew.
CATALOG_MAX_TAGS: Final = 400_000
# Runs that old clients write to point by point, whose folders need one stat to be known; about 300 bytes each.
KNOWN_RUNS_KEPT: Final = 20_000
# Queries of old clients that are kept parsed, each up to the length: one client names the same few series again and again.
QUERIES_KEPT: Final = 4096
QUERY_KEPT_MAX_BYTES: Final = 1 * KiB
# The header of one part of a multipart form, and what comes in front of the first: a few lines.
FORM_HEADER_MAX_BYTES: Final = 16 * KiB
# Parts of such a form: old clients send two.
FORM_PARTS_MAX: Final = 100
# Names among which a misspelt one is looked for; comparing one takes about 50 us.
CLOSE_MATCHES_AMONG: Final = 2000

# --- archives of runs -------------------------------------------------------------------------------------------------
# An archive that is put back, as it arrives and unpacked: an hour of a bridge's full load, and less than most disks have left.
ARCHIVE_MAX_BYTES: Final = 4096 * MiB
# Files in one archive: a run has an event file for each start of its bridge, and some for each embedding and profile.
ARCHIVE_MAX_ENTRIES: Final = 20_000
# The table of contents at an archive's end, read at one time: what that many entries with names of 700 bytes need.
ARCHIVE_DIRECTORY_MAX_BYTES: Final = 16 * MiB
# The longest path in an archive: a folder or two of a plugin's, and a name. Ours have about 60 bytes.
ARCHIVE_PATH_MAX_BYTES: Final = 1 * KiB
# Above the size, an entry may not unpack to over so many times its length. Event files shrink to a third, text tables to a
# tenth; what stays below the size harms no disk.
ARCHIVE_MAX_RATIO: Final = 200
ARCHIVE_RATIO_FREE_BYTES: Final = 256 * MiB
# The table of contents of an archive's embeddings, looked at in memory: 10,000 embeddings.
ARCHIVE_CONFIG_MAX_BYTES: Final = 4 * MiB
# Bytes of a file in memory at one time while an archive is made or read.
ARCHIVE_PIECE_BYTES: Final = 256 * KiB
# What an upload leaves free on the disk, for the points that others send meanwhile: some journal segments.
ARCHIVE_ROOM_LEFT_BYTES: Final = 256 * MiB
# Archives that are sent or received at one time; each has a file or two open and up to two pieces in memory.
ARCHIVES_AT_ONCE: Final = 8
# Uploads that are unpacked and looked at at one time; each may hold one record of READ_RECORD_MAX_BYTES in memory.
ARCHIVES_UNPACKED_AT_ONCE: Final = 2
# An upload may take BODY_READ_TIMEOUT_S and as long as it needs at this rate, half of what the slowest DSL line sends.
ARCHIVE_MIN_BYTES_PER_S: Final = 32 * KiB

# --- importing a log folder -------------------------------------------------------------------------------------------
# Of an event file read and sent at one time: 90,000 scalars, a request of 2 MB, a tenth of a second to repeat.
IMPORT_WINDOW_BYTES: Final = 4 * MiB
# A record that cannot be in memory at one time; no page of TensorBoard's shows such a value.
IMPORT_RECORD_MAX_BYTES: Final = 256 * MiB
# Values of one window that go into one request, well below BODY_MAX_BYTES; one larger value goes alone.
IMPORT_REQUEST_BYTES: Final = 6 * MiB
# Requests that one window may become, so that their numbers never reach those of the next one. A window has at most
# IMPORT_RECORD_MAX_BYTES in it, of which each request but the last takes half of IMPORT_REQUEST_BYTES or more.
IMPORT_REQUESTS_PER_WINDOW: Final = 1024
# How often an import starts a file anew under another number because its run was deleted from the bridge since.
IMPORT_GENERATIONS_MAX: Final = 1000
# Items left out that are listed one by one at the end; the rest is counted.
IMPORT_LISTED: Final = 20
