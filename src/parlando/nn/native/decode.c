/* One decoding step of a small language model on a processor: few rows, every weight read once, nothing in between.

   A step of a small model is shorter than the calls it is made of, so this is one call. Plain C with the vector
   extensions that GCC and Clang share; rows are independent, so a row's numbers do not depend on its neighbours.
   Weights come as panels of PANEL columns, each panel contiguous: [column / PANEL][input][PANEL], padded with zeros.
   What limits a step is how fast weights are read, so those that half precision holds exactly are kept in it. */

#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

/* As many rows at a time as there are registers for: two sums a row, two weights, one input. */
#ifdef __AVX512F__
#define LANES 16
#define ROWS 8
#else
#define LANES 8
#define ROWS 6
#endif
#define PANEL (2 * LANES)

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

const int64_t parlando_lanes = LANES, parlando_panel = PANEL, parlando_rows = ROWS;

/* Which source this was compiled from, so that an old library is not taken for a new one. */
const int64_t parlando_source = SOURCE;

typedef struct {
    int64_t hidden, heads, kv_heads, head_dim, inner, layers;
    double epsilon;
} Sizes;

/* A matrix as panels, of float or of half precision. */
typedef struct {
    const void *panels;
    int64_t is_half;
} Matrix;

typedef struct {
    const float *before, *after;
    Matrix gate_up, down;
} Branch;

typedef struct {
    Matrix qkv, out;
    Branch kinds[2];
} Layer;

/* Keys and values: [layer][key or value][row][kv_head][length][head_dim]. */
typedef struct {
    float *pairs;
    int64_t rows, length;
} Cache;

/* Room for ROWS rows of each, for the rows of a product side by side, and for the scores of one head. */
typedef struct {
    float *normed, *qkv, *mixed, *inner, *across, *scores;
} Scratch;

static inline vec spread(float value) { return value - (vec){0}; }

static inline vec load_float(const float *from) { return *(const vec *)from; }

static inline vec load_half(const uint16_t *from)
{
#ifdef __AVX512F__
    return (vec)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)from));
#else
    return (vec)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)from));
#endif
}

static inline float sum_of(vec v)
{
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++)
            v[i] += v[i + width];
    return v[0];
}

/* e^x to about one unit in the last place: x = n ln 2 + r, a polynomial for e^r, n put into the exponent. */
static inline vec exponential(vec x)
{
    const vec low = spread(-87.0f), high = spread(88.0f);
    x = (vec)((ivec)x & (x > low)) + (vec)((ivec)low & (x <= low));
    x = (vec)((ivec)x & (x < high)) + (vec)((ivec)high & (x >= high));
    const vec rounder = spread(12582912.0f); /* 1.5 * 2^23: adding it rounds to a whole number */
    const vec n = (x * 1.44269504f + rounder) - rounder;
    const vec r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vec p = spread(1.9875691500e-4f);
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    const ivec power = (__builtin_convertvector(n, ivec) + 127) << 23;
    return p * (vec)power;
}

/* Rows, which come as [input][row], times one panel; MANY is a constant, so that the sums stay in registers. */
#define PANEL_PRODUCT(MANY, KIND, TYPE)                                                              \
    static inline void product_##KIND##_##MANY(                                                      \
        const float *x, int64_t inputs, const TYPE *panel, float *out, int64_t outputs, int64_t width, int add) \
    {                                                                                                \
        vec left[MANY], right[MANY];                                                                 \
        for (int m = 0; m < MANY; m++)                                                               \
            left[m] = right[m] = (vec){0};                                                           \
        for (int64_t k = 0; k < inputs; k++) {                                                       \
            const vec a = load_##KIND(panel + k * PANEL), b = load_##KIND(panel + k * PANEL + LANES); \
            for (int m = 0; m < MANY; m++) {                                                         \
                left[m] += a * x[k * MANY + m];                                                      \
                right[m] += b * x[k * MANY + m];                                                     \
            }                                                                                        \
        }                                                                                            \
        for (int m = 0; m < MANY; m++) {                                                             \
            float *target = out + m * outputs;                                                       \
            if (width == PANEL) {                                                                    \
                vec *whole = (vec *)target;                                                          \
                whole[0] = left[m] + (add ? whole[0] : (vec){0});                                    \
                whole[1] = right[m] + (add ? whole[1] : (vec){0});                                   \
                continue;                                                                            \
            }                                                                                        \
            float sums[PANEL];                                                                       \
            *(vec *)sums = left[m];                                                                  \
            *(vec *)(sums + LANES) = right[m];                                                       \
            for (int64_t c = 0; c < width; c++)                                                      \
                target[c] = add ? target[c] + sums[c] : sums[c];                                     \
        }                                                                                            \
    }

#if ROWS > 6
#define EACH_COUNT(DO, KIND, TYPE)                                                                          \
    DO(1, KIND, TYPE) DO(2, KIND, TYPE) DO(3, KIND, TYPE) DO(4, KIND, TYPE) DO(5, KIND, TYPE) DO(6, KIND, TYPE) \
    DO(7, KIND, TYPE) DO(8, KIND, TYPE)
#else
#define EACH_COUNT(DO, KIND, TYPE)                                                                          \
    DO(1, KIND, TYPE) DO(2, KIND, TYPE) DO(3, KIND, TYPE) DO(4, KIND, TYPE) DO(5, KIND, TYPE) DO(6, KIND, TYPE)
#endif

EACH_COUNT(PANEL_PRODUCT, float, float)
EACH_COUNT(PANEL_PRODUCT, half, uint16_t)

#define CASE(MANY, KIND, TYPE)                                                           \
    case MANY:                                                                           \
        product_##KIND##_##MANY(x, inputs, panel, out + first, outputs, width, add);     \
        break;

#define PRODUCT(KIND, TYPE)                                                                               \
    static inline void product_##KIND(                                                                    \
        const float *x, int64_t rows, int64_t inputs, const TYPE *panels, float *out, int64_t outputs, int add) \
    {                                                                                                     \
        for (int64_t first = 0; first < outputs; first += PANEL) {                                        \
            const TYPE *panel = panels + first * inputs;                                                  \
            const int64_t width = outputs - first < PANEL ? outputs - first : PANEL;                      \
            switch (rows) { EACH_COUNT(CASE, KIND, TYPE) }                                                \
        }                                                                                                 \
    }

PRODUCT(float, float)
PRODUCT(half, uint16_t)

/* out[rows][outputs] = (or +=) x[rows][inputs] times a matrix; at most ROWS rows. */
static inline void product(
    const float *x, int64_t rows, int64_t inputs, const Matrix *matrix, float *out, int64_t outputs, int add,
    float *across)
{
    for (int64_t row = 0; row < rows; row++)
        for (int64_t k = 0; k < inputs; k++)
            across[k * rows + row] = x[row * inputs + k];
    if (matrix->is_half)
        product_half(across, rows, inputs, matrix->panels, out, outputs, add);
    else
        product_float(across, rows, inputs, matrix->panels, out, outputs, add);
}

static inline void normalise(const float *x, const float *weight, int64_t size, double epsilon, float *out)
{
    vec squares = {0};
    for (int64_t i = 0; i < size; i += LANES)
        squares += *(const vec *)(x + i) * *(const vec *)(x + i);
    const float scale = (float)(1.0 / sqrt((double)sum_of(squares) / (double)size + epsilon));
    for (int64_t i = 0; i < size; i += LANES)
        *(vec *)(out + i) = *(const vec *)(x + i) * scale * *(const vec *)(weight + i);
}

/* Turn each pair of components (i, i + half) by its angle; the first half of sine is negated. */
static inline void turn(float *head, const float *cosine, const float *sine, int64_t size)
{
    const int64_t half = size / 2;
    for (int64_t i = 0; i < half; i++) {
        const float a = head[i], b = head[i + half];
        head[i] = a * cosine[i] + b * sine[i];
        head[i + half] = b * cosine[i + half] + a * sine[i + half];
    }
}

/* Softmax attention of one query over count keys and values of its head. */
static inline void attend(
    const float *query, const float *keys, const float *values, int64_t count, int64_t size, float *scores, float *out)
{
    const float scale = (float)(1.0 / sqrt((double)size));
    float largest = -INFINITY;
    for (int64_t t = 0; t < count; t++) {
        vec dot = {0};
        for (int64_t i = 0; i < size; i += LANES)
            dot += *(const vec *)(query + i) * *(const vec *)(keys + t * size + i);
        scores[t] = sum_of(dot) * scale;
        largest = scores[t] > largest ? scores[t] : largest;
    }
    for (int64_t t = count; t % LANES; t++)
        scores[t] = -INFINITY;
    vec totals = {0};
    for (int64_t t = 0; t < count; t += LANES) {
        vec *some = (vec *)(scores + t);
        const vec past = (vec)((ivec)exponential(*some - largest) & (*some > -INFINITY));
        *some = past;
        totals += past;
    }
    const float total = sum_of(totals);
    int64_t i = 0;
    for (; i + 4 * LANES <= size; i += 4 * LANES) {
        vec a = {0}, b = {0}, c = {0}, d = {0};
        for (int64_t t = 0; t < count; t++) {
            const vec *value = (const vec *)(values + t * size + i);
            a += value[0] * scores[t], b += value[1] * scores[t];
            c += value[2] * scores[t], d += value[3] * scores[t];
        }
        vec *mixed = (vec *)(out + i);
        mixed[0] = a / total, mixed[1] = b / total, mixed[2] = c / total, mixed[3] = d / total;
    }
    for (; i < size; i += LANES) {
        vec mixed = {0};
        for (int64_t t = 0; t < count; t++)
            mixed += *(const vec *)(values + t * size + i) * scores[t];
        *(vec *)(out + i) = mixed / total;
    }
}

static inline void attention(
    const Sizes *s, int64_t layer, int64_t rows, const int64_t *seats, const int64_t *positions, const float *cosine,
    const float *sine, const Cache *cache, const Scratch *room)
{
    const int64_t size = s->head_dim, group = s->heads / s->kv_heads, all = s->heads + 2 * s->kv_heads;
    const int64_t head_room = cache->length * size, row_room = head_room * s->kv_heads;
    float *keys = cache->pairs + layer * 2 * cache->rows * row_room, *values = keys + cache->rows * row_room;
    for (int64_t row = 0; row < rows; row++) {
        float *heads = room->qkv + row * all * size;
        const int64_t position = positions[row], start = seats[row] * row_room;
        for (int64_t head = 0; head < s->heads + s->kv_heads; head++)
            turn(heads + head * size, cosine + position * size, sine + position * size, size);
        for (int64_t head = 0; head < s->kv_heads; head++) {
            const int64_t place = start + head * head_room + position * size;
            memcpy(keys + place, heads + (s->heads + head) * size, size * sizeof(float));
            memcpy(values + place, heads + (s->heads + s->kv_heads + head) * size, size * sizeof(float));
        }
        for (int64_t head = 0; head < s->heads; head++) {
            const int64_t place = start + head / group * head_room;
            attend(heads + head * size, keys + place, values + place, position + 1, size, room->scores,
                   room->mixed + (row * s->heads + head) * size);
        }
    }
}

static inline void feed_forward(
    const Sizes *s, const Branch *branch, int64_t rows, float *x, const Scratch *room)
{
    for (int64_t row = 0; row < rows; row++)
        normalise(x + row * s->hidden, branch->after, s->hidden, s->epsilon, room->normed + row * s->hidden);
    product(room->normed, rows, s->hidden, &branch->gate_up, room->inner, 2 * s->inner, 0, room->across);
    for (int64_t row = 0; row < rows; row++) {
        const float *gate = room->inner + row * 2 * s->inner, *up = gate + s->inner;
        float *out = room->inner + row * s->inner; /* lies before what is still to be read */
        for (int64_t i = 0; i < s->inner; i += LANES) {
            const vec g = *(const vec *)(gate + i);
            *(vec *)(out + i) = g / (1.0f + exponential(-g)) * *(const vec *)(up + i);
        }
    }
    product(room->inner, rows, s->inner, &branch->down, x, s->hidden, 1, room->across);
}

/* Advance at most ROWS rows by one position each, the first `texts` of them text, the others audio.

   x: [row][hidden], in and out; seats: the cache row of each; positions: where each goes; cosine, sine:
   [position][head_dim]. Sizes of hidden, inner and head_dim are multiples of LANES. */
__attribute__((flatten)) void parlando_step(
    const Sizes *s, const Layer *layers, int64_t rows, int64_t texts, float *x, const int64_t *seats,
    const int64_t *positions, const float *cosine, const float *sine, const Cache *cache, const Scratch *room)
{
    const int64_t mixed = s->heads * s->head_dim, all = mixed + 2 * s->kv_heads * s->head_dim;
    for (int64_t index = 0; index < s->layers; index++) {
        const Layer *layer = layers + index;
        for (int64_t row = 0; row < rows; row++)
            normalise(x + row * s->hidden, layer->kinds[row >= texts].before, s->hidden, s->epsilon,
                      room->normed + row * s->hidden);
        product(room->normed, rows, s->hidden, &layer->qkv, room->qkv, all, 0, room->across);
        attention(s, index, rows, seats, positions, cosine, sine, cache, room);
        product(room->mixed, rows, mixed, &layer->out, x, s->hidden, 1, room->across);
        if (texts)
            feed_forward(s, &layer->kinds[0], texts, x, room);
        if (texts < rows)
            feed_forward(s, &layer->kinds[1], rows - texts, x + texts * s->hidden, room);
    }
}

/* Normalise at most ROWS rows and multiply them by a head's matrix: out[row][outputs]. */
__attribute__((flatten)) void parlando_head(
    const Sizes *s, int64_t rows, const float *x, const float *norm, const Matrix *head, int64_t outputs, float *out,
    const Scratch *room)
{
    for (int64_t row = 0; row < rows; row++)
        normalise(x + row * s->hidden, norm, s->hidden, s->epsilon, room->normed + row * s->hidden);
    product(room->normed, rows, s->hidden, head, out, outputs, 0, room->across);
}

static inline int beats(float a, float b) { return a > b || (a != a && b == b); }

/* The largest `count` of each row, falling; of equal ones the first. NaN counts as largest, so that it is seen. */
__attribute__((flatten)) void parlando_top(
    const float *numbers, int64_t rows, int64_t size, int64_t count, float *values, int64_t *indices)
{
    for (int64_t row = 0; row < rows; row++, numbers += size, values += count, indices += count) {
        int64_t held = 0;
        for (int64_t i = 0; i < size; i++) {
            const float number = numbers[i];
            if (held == count && !beats(number, values[count - 1]))
                continue;
            int64_t place = held < count ? held++ : count - 1;
            for (; place > 0 && beats(number, values[place - 1]); place--) {
                values[place] = values[place - 1];
                indices[place] = indices[place - 1];
            }
            values[place] = number;
            indices[place] = i;
        }
    }
}
