/*
 * mload: a cheap SMTP and IMAP load generator.
 *
 * What it is for: to give the same work, over the same TLS, to servers that are compared with one another,
 * while taking little CPU itself (both sides share the machine). It is a measuring tool: it speaks just
 * enough SMTP (RFC 5321) and IMAP (RFC 9051), and stops counting on the first thing it does not expect.
 *
 *   mload ingest --port P [options]    send letters, one transaction each, on kept connections
 *   mload imap   --port P [options]    repeat one IMAP command on kept connections
 *
 * Invariants
 *  - One thread per connection, blocking I/O: no event loop whose cost would have to be explained.
 *  - All connections are open, under TLS and authenticated BEFORE the clock starts (a barrier), so that neither
 *    handshakes nor password hashing are in the figures.
 *  - Every letter is unique: each @@SEQ0000000@@ of the message becomes the letter's number, counted from
 *    --first, because a server may rightly file a letter that was sent twice only once.
 *  - The server's certificate is checked only with --ca: on loopback the check would cost us, not the server.
 *  - One JSON line on stdout; the first complaints of a server on stderr.
 *
 * Build: gcc -O2 -Wall -Wextra -o mload mload.c -lssl -lcrypto -lpthread
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MARKER "@@SEQ0000000@@"
#define MARKER_LENGTH 14
#define MARKERS_MAX 16
#define ERRORS_MAX 20        /* a connection that fails this often stops: the figures are void anyway */
#define COMPLAINTS_MAX 3     /* lines of a server shown per connection */
#define BUFFER_SIZE (1 << 18)

enum tls_mode { TLS_NONE, TLS_STARTTLS, TLS_IMPLICIT };
enum auth_mode { AUTH_NONE, AUTH_PLAIN, AUTH_EXTERNAL };

/* What the command line asks for; read-only once the threads run. */
static struct {
    const char *host;
    int port;
    enum tls_mode tls;
    const char *ca, *certificate, *key;
    enum auth_mode auth;
    const char *user, *password;
    int connections;
    long operations;
    bool held;
    /* ingest */
    const char *sender, *recipient;
    int recipients;
    long first;
    bool pipelining;
    /* imap */
    const char *mailbox, *command;
} ask = {.host = "127.0.0.1", .connections = 1, .operations = 1000, .sender = "sender@bench.test",
         .recipient = "u{}@bench.test", .recipients = 1, .mailbox = "INBOX", .command = "NOOP"};

static SSL_CTX *tls_context;

static struct {
    char *bytes;
    size_t length;
    size_t markers[MARKERS_MAX];
    int marker_count;
} letter;

static struct login {
    char user[128], password[128];
} *logins;
static int login_count;

static long next_operation;
static pthread_barrier_t everyone_ready, everyone_starts;

struct connection {
    int number;
    int socket;
    SSL *tls;
    char *buffer; /* bytes received and not yet consumed: buffer[start..end) */
    size_t start, end;
    long done, errors, rows;
    unsigned long received;
    unsigned long tag;
    double *latencies;
    long latency_count, latency_capacity;
    double finished;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    fprintf(stderr, "mload: %s: %s\n", what, strerror(errno));
    exit(2);
}

/* ---- bytes ------------------------------------------------------------------------------------------ */

static int send_all(struct connection *c, const char *bytes, size_t length)
{
    while (length > 0) {
        ssize_t sent = c->tls ? SSL_write(c->tls, bytes, (int)length)
                              : send(c->socket, bytes, length, MSG_NOSIGNAL);
        if (sent <= 0)
            return -1;
        bytes += sent;
        length -= (size_t)sent;
    }
    return 0;
}

static int send_text(struct connection *c, const char *text)
{
    return send_all(c, text, strlen(text));
}

static int receive_more(struct connection *c)
{
    if (c->start == c->end)
        c->start = c->end = 0;
    if (c->end == BUFFER_SIZE) {
        if (c->start == 0)
            return -1; /* a line longer than the buffer */
        memmove(c->buffer, c->buffer + c->start, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
    }
    char *room = c->buffer + c->end;
    size_t size = BUFFER_SIZE - c->end;
    ssize_t got;
    do
        got = c->tls ? SSL_read(c->tls, room, (int)size) : recv(c->socket, room, size, 0);
    while (got < 0 && !c->tls && errno == EINTR);
    if (got <= 0)
        return -1;
    c->end += (size_t)got;
    c->received += (unsigned long)got;
    return 0;
}

/* The next line, its LF included; valid until the next call. */
static char *receive_line(struct connection *c, size_t *length)
{
    size_t searched = 0;
    for (;;) {
        char *from = c->buffer + c->start + searched;
        char *lf = memchr(from, '\n', c->end - c->start - searched);
        if (lf) {
            char *line = c->buffer + c->start;
            *length = (size_t)(lf - line) + 1;
            c->start += *length;
            return line;
        }
        searched = c->end - c->start;
        if (receive_more(c))
            return NULL;
    }
}

static int skip_bytes(struct connection *c, size_t count)
{
    while (count > 0) {
        size_t have = c->end - c->start;
        if (have == 0) {
            if (receive_more(c))
                return -1;
            continue;
        }
        size_t step = have < count ? have : count;
        c->start += step;
        count -= step;
    }
    return 0;
}

/* ---- connections ------------------------------------------------------------------------------------- */

static int open_socket(struct connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)ask.port)};
    if (inet_pton(AF_INET, ask.host, &address.sin_addr) != 1)
        die("--host wants an IPv4 address");
    c->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (c->socket < 0)
        die("socket");
    int on = 1;
    setsockopt(c->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connect(c->socket, (struct sockaddr *)&address, sizeof address);
}

static int start_tls(struct connection *c)
{
    c->tls = SSL_new(tls_context);
    SSL_set_fd(c->tls, c->socket);
    SSL_set_tlsext_host_name(c->tls, "localhost");
    if (SSL_connect(c->tls) == 1)
        return 0;
    ERR_print_errors_fp(stderr);
    return -1;
}

static void close_connection(struct connection *c)
{
    if (c->tls) {
        SSL_shutdown(c->tls);
        SSL_free(c->tls);
        c->tls = NULL;
    }
    if (c->socket >= 0)
        close(c->socket);
    c->socket = -1;
}

static void complain(struct connection *c, const char *line, size_t length)
{
    if (c->errors < COMPLAINTS_MAX)
        fprintf(stderr, "mload: %.*s", (int)length, line);
}

static void note_latency(struct connection *c, double seconds)
{
    if (c->latency_count == c->latency_capacity) {
        c->latency_capacity = c->latency_capacity ? c->latency_capacity * 2 : 1024;
        c->latencies = realloc(c->latencies, (size_t)c->latency_capacity * sizeof *c->latencies);
        if (!c->latencies)
            die("realloc");
    }
    c->latencies[c->latency_count++] = seconds;
}

/* The number of the next piece of work, shared by all connections; -1 when all is done. */
static long take_operation(void)
{
    long i = __atomic_fetch_add(&next_operation, 1, __ATOMIC_RELAXED);
    return i < ask.operations ? i : -1;
}

/* "u{}@bench.test", 7 -> "u7@bench.test" */
static void expand(char *out, size_t size, const char *pattern, long number)
{
    const char *hole = strstr(pattern, "{}");
    if (hole)
        snprintf(out, size, "%.*s%ld%s", (int)(hole - pattern), pattern, number, hole + 2);
    else
        snprintf(out, size, "%s", pattern);
}

/* ---- SMTP -------------------------------------------------------------------------------------------- */

static int smtp_reply(struct connection *c)
{
    size_t length;
    char *line;
    do {
        line = receive_line(c, &length);
        if (!line)
            return -1;
    } while (length > 3 && line[3] == '-');
    int code = atoi(line);
    if (code >= 400)
        complain(c, line, length);
    return code;
}

static int smtp_command(struct connection *c, const char *text)
{
    return send_text(c, text) ? -1 : smtp_reply(c);
}

static int smtp_authenticate(struct connection *c)
{
    if (ask.auth == AUTH_NONE)
        return 0;
    if (ask.auth == AUTH_EXTERNAL) /* RFC 4954 §4: "=" is the empty initial response */
        return smtp_command(c, "AUTH EXTERNAL =\r\n") == 235 ? 0 : -1;
    /* RFC 4616: authzid NUL authcid NUL password */
    unsigned char plain[520], encoded[720];
    int length = snprintf((char *)plain, sizeof plain, "%c%s%c%s", 0, ask.user, 0, ask.password);
    EVP_EncodeBlock(encoded, plain, length);
    char command[800];
    snprintf(command, sizeof command, "AUTH PLAIN %s\r\n", encoded);
    return smtp_command(c, command) == 235 ? 0 : -1;
}

static int smtp_open(struct connection *c)
{
    const char *hello = "EHLO bench.test\r\n";
    if (open_socket(c))
        return -1;
    if (ask.tls == TLS_IMPLICIT && start_tls(c))
        return -1;
    if (smtp_reply(c) != 220 || smtp_command(c, hello) != 250)
        return -1;
    if (ask.tls == TLS_STARTTLS) {
        if (smtp_command(c, "STARTTLS\r\n") != 220 || start_tls(c))
            return -1;
        if (smtp_command(c, hello) != 250) /* RFC 3207 §4.2: the session begins anew */
            return -1;
    }
    return smtp_authenticate(c);
}

/* MAIL, RCPT, DATA: 354 when the server wants the letter. */
static int smtp_envelope(struct connection *c, const char *recipient)
{
    char text[600];
    if (ask.pipelining) { /* RFC 2920: one write, three replies */
        snprintf(text, sizeof text, "MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA\r\n", ask.sender, recipient);
        if (send_text(c, text))
            return -1;
        int mail = smtp_reply(c), rcpt = smtp_reply(c), data = smtp_reply(c);
        return mail == 250 && rcpt == 250 ? data : -1;
    }
    snprintf(text, sizeof text, "MAIL FROM:<%s>\r\n", ask.sender);
    int code = smtp_command(c, text);
    if (code != 250)
        return code;
    snprintf(text, sizeof text, "RCPT TO:<%s>\r\n", recipient);
    code = smtp_command(c, text);
    return code == 250 ? smtp_command(c, "DATA\r\n") : code;
}

static void *ingest_thread(void *argument)
{
    struct connection *c = argument;
    /* this thread's own copy of the letter, followed by the end of data */
    size_t length = letter.length + 3;
    char *bytes = malloc(length);
    if (!bytes)
        die("malloc");
    memcpy(bytes, letter.bytes, letter.length);
    memcpy(bytes + letter.length, ".\r\n", 3);

    bool ready = smtp_open(c) == 0;
    if (!ready) {
        c->errors++;
        fprintf(stderr, "mload: connection %d could not be set up\n", c->number);
    }
    pthread_barrier_wait(&everyone_ready);
    pthread_barrier_wait(&everyone_starts);

    long i;
    while (ready && c->errors <= ERRORS_MAX && (i = take_operation()) >= 0) {
        char recipient[256], sequence[32];
        expand(recipient, sizeof recipient, ask.recipient, i % ask.recipients);
        snprintf(sequence, sizeof sequence, "%014ld", (ask.first + i) % 100000000000000L);
        for (int k = 0; k < letter.marker_count; k++)
            memcpy(bytes + letter.markers[k], sequence, MARKER_LENGTH);

        double begun = now();
        int code = smtp_envelope(c, recipient);
        if (code == 354)
            code = send_all(c, bytes, length) ? -1 : smtp_reply(c);
        if (code == 250) {
            note_latency(c, now() - begun);
            c->done++;
        } else {
            c->errors++;
            if (code < 0 || smtp_command(c, "RSET\r\n") != 250)
                break;
        }
    }
    c->finished = now();
    if (ready)
        smtp_command(c, "QUIT\r\n");
    close_connection(c);
    free(bytes);
    return NULL;
}

/* ---- IMAP -------------------------------------------------------------------------------------------- */

/* The size of the literal that this line announces at its end ("{123}" CRLF), or -1. */
static long literal_size(const char *line, size_t length)
{
    if (length < 5 || line[length - 3] != '}')
        return -1;
    size_t open = length - 4;
    while (open > 0 && line[open] >= '0' && line[open] <= '9')
        open--;
    if (line[open] != '{' || open == length - 4)
        return -1;
    return atol(line + open + 1);
}

static bool is_fetch_row(const char *line, size_t length)
{
    if (length < 10 || line[0] != '*' || line[1] != ' ')
        return false;
    size_t i = 2;
    while (i < length && line[i] >= '0' && line[i] <= '9')
        i++;
    return i > 2 && length - i > 7 && memcmp(line + i, " FETCH ", 7) == 0;
}

/* Reads up to the tagged reply. 0: OK, 1: NO or BAD, -1: the connection is lost. */
static int imap_finish(struct connection *c, const char *tag)
{
    size_t tag_length = strlen(tag), length;
    for (;;) {
        char *line = receive_line(c, &length);
        if (!line)
            return -1;
        if (length > tag_length + 3 && memcmp(line, tag, tag_length) == 0 && line[tag_length] == ' ') {
            if (line[tag_length + 1] == 'O')
                return 0;
            complain(c, line, length);
            return 1;
        }
        if (is_fetch_row(line, length))
            c->rows++;
        long literal;
        while ((literal = literal_size(line, length)) >= 0) { /* a literal: its bytes, then the line goes on */
            if (skip_bytes(c, (size_t)literal))
                return -1;
            line = receive_line(c, &length);
            if (!line)
                return -1;
        }
    }
}

static int imap_command(struct connection *c, const char *text)
{
    char tag[24], line[4096];
    snprintf(tag, sizeof tag, "a%lu", ++c->tag);
    snprintf(line, sizeof line, "%s %s\r\n", tag, text);
    return send_text(c, line) ? -1 : imap_finish(c, tag);
}

static int imap_open(struct connection *c)
{
    size_t length;
    char text[600];
    if (open_socket(c) || (ask.tls == TLS_IMPLICIT && start_tls(c)))
        return -1;
    char *greeting = receive_line(c, &length);
    if (!greeting || greeting[0] != '*')
        return -1;
    if (ask.tls == TLS_STARTTLS && (imap_command(c, "STARTTLS") || start_tls(c)))
        return -1;
    const struct login *who = &logins[c->number % login_count];
    snprintf(text, sizeof text, "LOGIN \"%s\" \"%s\"", who->user, who->password);
    if (imap_command(c, text))
        return -1;
    snprintf(text, sizeof text, "SELECT \"%s\"", ask.mailbox);
    return imap_command(c, text);
}

static void *imap_thread(void *argument)
{
    struct connection *c = argument;
    bool ready = imap_open(c) == 0;
    if (!ready) {
        c->errors++;
        fprintf(stderr, "mload: connection %d could not be set up\n", c->number);
    }
    pthread_barrier_wait(&everyone_ready);
    pthread_barrier_wait(&everyone_starts);
    c->received = 0;
    c->rows = 0;
    while (ready && c->errors <= ERRORS_MAX && take_operation() >= 0) {
        double begun = now();
        int outcome = imap_command(c, ask.command);
        if (outcome == 0) {
            note_latency(c, now() - begun);
            c->done++;
        } else {
            c->errors++;
            if (outcome < 0)
                break;
        }
    }
    c->finished = now();
    if (ready)
        imap_command(c, "LOGOUT");
    close_connection(c);
    return NULL;
}

/* ---- set-up and report -------------------------------------------------------------------------------- */

static void read_letter(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        die(path);
    fseek(file, 0, SEEK_END);
    letter.length = (size_t)ftell(file);
    rewind(file);
    letter.bytes = malloc(letter.length + 1);
    if (!letter.bytes || fread(letter.bytes, 1, letter.length, file) != letter.length)
        die(path);
    fclose(file);
    char *from = letter.bytes, *end = letter.bytes + letter.length, *hit;
    while (letter.marker_count < MARKERS_MAX &&
           (hit = memmem(from, (size_t)(end - from), MARKER, MARKER_LENGTH)) != NULL) {
        letter.markers[letter.marker_count++] = (size_t)(hit - letter.bytes);
        from = hit + MARKER_LENGTH;
    }
}

/* One "user password" a line; connection n takes line n modulo their number. */
static void read_logins(const char *path)
{
    FILE *file = fopen(path, "r");
    if (!file)
        die(path);
    struct login one;
    while (fscanf(file, "%127s %127s", one.user, one.password) == 2) {
        logins = realloc(logins, (size_t)(login_count + 1) * sizeof one);
        if (!logins)
            die("realloc");
        logins[login_count++] = one;
    }
    fclose(file);
}

static void prepare_tls(void)
{
    tls_context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(tls_context, TLS1_2_VERSION);
    if (ask.ca) {
        if (SSL_CTX_load_verify_locations(tls_context, ask.ca, NULL) != 1)
            die(ask.ca);
        SSL_CTX_set_verify(tls_context, SSL_VERIFY_PEER, NULL);
    }
    if (ask.certificate && (SSL_CTX_use_certificate_chain_file(tls_context, ask.certificate) != 1 ||
                            SSL_CTX_use_PrivateKey_file(tls_context, ask.key, SSL_FILETYPE_PEM) != 1)) {
        ERR_print_errors_fp(stderr);
        exit(2);
    }
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double percentile_ms(const double *sorted, long count, double share)
{
    return count ? sorted[(long)((double)(count - 1) * share)] * 1e3 : 0;
}

static void report(const struct connection *all, double begun)
{
    long done = 0, errors = 0, rows = 0, count = 0;
    unsigned long received = 0;
    double finished = begun;
    for (int i = 0; i < ask.connections; i++) {
        done += all[i].done;
        errors += all[i].errors;
        rows += all[i].rows;
        received += all[i].received;
        count += all[i].latency_count;
        if (all[i].finished > finished)
            finished = all[i].finished;
    }
    double *latencies = malloc((size_t)(count + 1) * sizeof *latencies);
    if (!latencies)
        die("malloc");
    long filled = 0;
    for (int i = 0; i < ask.connections; i++)
        for (long k = 0; k < all[i].latency_count; k++)
            latencies[filled++] = all[i].latencies[k];
    qsort(latencies, (size_t)count, sizeof *latencies, ascending);

    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    double cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                 (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
    double wall = finished - begun;
    printf("{\"operations\": %ld, \"errors\": %ld, \"rows\": %ld, \"wall_s\": %.4f, \"rate\": %.2f, "
           "\"received_bytes\": %lu, \"p50_ms\": %.3f, \"p95_ms\": %.3f, \"p99_ms\": %.3f, "
           "\"client_cpu_s\": %.3f}\n",
           done, errors, rows, wall, wall > 0 ? (double)done / wall : 0, received,
           percentile_ms(latencies, count, 0.50), percentile_ms(latencies, count, 0.95),
           percentile_ms(latencies, count, 0.99), cpu);
    free(latencies);
}

static void usage(void)
{
    fputs("mload ingest|imap --port P [--host 127.0.0.1] [--tls none|starttls|implicit] [--ca FILE]\n"
          "      [--cert FILE --key FILE] [--connections N] [--operations N] [--hold]\n"
          " ingest: --message FILE [--auth none|plain|external] [--user U --password P] [--from ADDRESS]\n"
          "      [--to 'u{}@bench.test'] [--recipients N] [--first NUMBER] [--pipelining]\n"
          " imap: --logins FILE [--mailbox INBOX] [--command 'NOOP']\n", stderr);
    exit(2);
}

static int choice(const char *value, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(value, names[i]) == 0)
            return i;
    fprintf(stderr, "mload: unknown value %s\n", value);
    usage();
    return -1;
}

static void read_options(int argc, char **argv)
{
    static const char *const tls_names[] = {"none", "starttls", "implicit", NULL};
    static const char *const auth_names[] = {"none", "plain", "external", NULL};
    static const struct option options[] = {
        {"host", 1, NULL, 'h'},     {"port", 1, NULL, 'p'},       {"tls", 1, NULL, 't'},
        {"ca", 1, NULL, 'a'},       {"cert", 1, NULL, 'c'},       {"key", 1, NULL, 'k'},
        {"auth", 1, NULL, 'A'},     {"user", 1, NULL, 'u'},       {"password", 1, NULL, 'w'},
        {"from", 1, NULL, 'f'},     {"to", 1, NULL, 'T'},         {"recipients", 1, NULL, 'r'},
        {"first", 1, NULL, 's'},    {"pipelining", 0, NULL, 'P'}, {"message", 1, NULL, 'm'},
        {"logins", 1, NULL, 'l'},   {"mailbox", 1, NULL, 'b'},    {"command", 1, NULL, 'x'},
        {"operations", 1, NULL, 'n'}, {"connections", 1, NULL, 'C'}, {"hold", 0, NULL, 'H'},
        {NULL, 0, NULL, 0}};
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'h': ask.host = optarg; break;
        case 'p': ask.port = atoi(optarg); break;
        case 't': ask.tls = (enum tls_mode)choice(optarg, tls_names); break;
        case 'a': ask.ca = optarg; break;
        case 'c': ask.certificate = optarg; break;
        case 'k': ask.key = optarg; break;
        case 'A': ask.auth = (enum auth_mode)choice(optarg, auth_names); break;
        case 'u': ask.user = optarg; break;
        case 'w': ask.password = optarg; break;
        case 'f': ask.sender = optarg; break;
        case 'T': ask.recipient = optarg; break;
        case 'r': ask.recipients = atoi(optarg); break;
        case 's': ask.first = atol(optarg); break;
        case 'P': ask.pipelining = true; break;
        case 'm': read_letter(optarg); break;
        case 'l': read_logins(optarg); break;
        case 'b': ask.mailbox = optarg; break;
        case 'x': ask.command = optarg; break;
        case 'n': ask.operations = atol(optarg); break;
        case 'H': ask.held = true; break;
        case 'C': ask.connections = atoi(optarg); break;
        default: usage();
        }
}

int main(int argc, char **argv)
{
    if (argc < 2)
        usage();
    bool imap = strcmp(argv[1], "imap") == 0;
    if (!imap && strcmp(argv[1], "ingest") != 0)
        usage();
    read_options(argc - 1, argv + 1);
    if (!ask.port || ask.connections < 1 || ask.recipients < 1 || (imap ? !login_count : !letter.bytes) ||
        (ask.auth == AUTH_PLAIN && !(ask.user && ask.password)) || (ask.certificate && !ask.key))
        usage();
    if (ask.tls != TLS_NONE)
        prepare_tls();

    size_t count = (size_t)ask.connections;
    struct connection *all = calloc(count, sizeof *all);
    pthread_t *threads = calloc(count, sizeof *threads);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 256 << 10);
    pthread_barrier_init(&everyone_ready, NULL, (unsigned)count + 1);
    pthread_barrier_init(&everyone_starts, NULL, (unsigned)count + 1);
    if (!all || !threads)
        die("calloc");
    for (int i = 0; i < ask.connections; i++) {
        all[i].number = i;
        all[i].socket = -1;
        all[i].buffer = malloc(BUFFER_SIZE);
        if (!all[i].buffer ||
            pthread_create(&threads[i], &attributes, imap ? imap_thread : ingest_thread, &all[i]))
            die("thread");
    }
    pthread_barrier_wait(&everyone_ready);
    if (ask.held) { /* whoever measures the server reads its counters now, then lets us go */
        puts("ready");
        fflush(stdout);
        getchar();
    }
    double begun = now();
    pthread_barrier_wait(&everyone_starts);
    for (int i = 0; i < ask.connections; i++)
        pthread_join(threads[i], NULL);
    report(all, begun);
    return 0;
}
