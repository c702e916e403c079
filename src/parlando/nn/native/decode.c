/* One decoding step of a small language model on a processor, and the prefill of its prompt: few rows at a time.

   A step of a small model is shorter than the calls it is made of, so this is one call. */

#include <sched.h>

#include "panels.h"

const int64_t parlando_lanes = LANES, parlando_panel = PANEL, parlando_rows = BLOCK;

/* Which source this was compiled from, so that an old library is not taken for a new one. */
const int64_t parlando_source = SOURCE;

typedef struct {
    int64_t hidden, heads, kv_heads, head_dim, inner, layers;
    double epsilon;
} Sizes;

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

/* One head of one layer, and room for what each row of the cache looks at with it: [row][length]; or no room. */
typedef struct {
    int64_t layer, head;
    float *looks;
} Watched;

/* Room for BLOCK rows of each, for the rows of a product side by side, and for the scores of one head. */
typedef struct {
    float *normed, *qkv, *mixed, *inner, *across, *scores;
} Scratch;

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

/* Softmax attention of one query over count keys and values of its head; scores are then its weights, times the total
   that is returned. */
static inline float attend(
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
    return total;
}

static inline void attention(
    const Sizes *s, int64_t layer, int64_t rows, const int64_t *cache_rows, const int64_t *positions, const float *cosine,
    const float *sine, const Cache *cache, const Watched *watched, const Scratch *room)
{
    const int64_t size = s->head_dim, group = s->heads / s->kv_heads, all = s->heads + 2 * s->kv_heads;
    const int64_t head_room = cache->length * size, row_room = head_room * s->kv_heads;
    float *keys = cache->pairs + layer * 2 * cache->rows * row_room, *values = keys + cache->rows * row_room;
    for (int64_t row = 0; row < rows; row++) {
        float *heads = room->qkv + row * all * size;
        const int64_t position = positions[row], start = cache_rows[row] * row_room;
        for (int64_t head = 0; head < s->heads + s->kv_heads; head++)
            turn(heads + head * size, cosine + position * size, sine + position * size, size);
        for (int64_t head = 0; head < s->kv_heads; head++) {
            const int64_t place = start + head * head_room + position * size;
            memcpy(keys + place, heads + (s->heads + head) * size, size * sizeof(float));
            memcpy(values + place, heads + (s->heads + s->kv_heads + head) * size, size * sizeof(float));
        }
        for (int64_t head = 0; head < s->heads; head++) {
            const int64_t place = start + head / group * head_room;
            const float total = attend(heads + head * size, keys + place, values + place, position + 1, size,
                                       room->scores, room->mixed + (row * s->heads + head) * size);
            if (watched->looks && layer == watched->layer && head == watched->head)
                for (int64_t t = 0; t <= position; t++)
                    watched->looks[cache_rows[row] * cache->length + t] = room->scores[t] / total;
        }
    }
}

static inline void feed_forward(
    const Sizes *s, const Branch *branch, int64_t rows, float *x, const Scratch *room)
{
    for (int64_t row = 0; row < rows; row++)
        normalise(x + row * s->hidden, branch->after, s->hidden, s->epsilon, room->normed + row * s->hidden);
    product(room->normed, rows, s->hidden, s->hidden, &branch->gate_up, room->inner, 2 * s->inner, 0, room->across);
    for (int64_t row = 0; row < rows; row++) {
        const float *gate = room->inner + row * 2 * s->inner, *up = gate + s->inner;
        float *out = room->inner + row * s->inner; /* lies before what is still to be read */
        for (int64_t i = 0; i < s->inner; i += LANES) {
            const vec g = *(const vec *)(gate + i);
            *(vec *)(out + i) = g / (1.0f + exponential(-g)) * *(const vec *)(up + i);
        }
    }
    product(room->inner, rows, s->inner, s->inner, &branch->down, x, s->hidden, 1, room->across);
}

/* One layer for at most BLOCK rows; attention begins once those `ahead`, if any, have passed it. */
static inline void pass(
    const Sizes *s, const Layer *layer, int64_t index, int64_t rows, int64_t texts, float *x, const int64_t *cache_rows,
    const int64_t *positions, const float *cosine, const float *sine, const Cache *cache, const Watched *watched,
    const Scratch *room, const int64_t *ahead)
{
    const int64_t mixed = s->heads * s->head_dim, all = mixed + 2 * s->kv_heads * s->head_dim;
    for (int64_t row = 0; row < rows; row++)
        normalise(x + row * s->hidden, layer->kinds[row >= texts].before, s->hidden, s->epsilon,
                  room->normed + row * s->hidden);
    product(room->normed, rows, s->hidden, s->hidden, &layer->qkv, room->qkv, all, 0, room->across);
    while (ahead && __atomic_load_n(ahead, __ATOMIC_ACQUIRE) <= index)
        sched_yield();
    attention(s, index, rows, cache_rows, positions, cosine, sine, cache, watched, room);
    product(room->mixed, rows, mixed, mixed, &layer->out, x, s->hidden, 1, room->across);
    if (texts)
        feed_forward(s, &layer->kinds[0], texts, x, room);
    if (texts < rows)
        feed_forward(s, &layer->kinds[1], rows - texts, x + texts * s->hidden, room);
}

/* Advance rows by one position each, in blocks of at most BLOCK, in each of which the texts come before the audio.

   x: [row][hidden], in and out; cache_rows: the cache row of each; positions: where each goes; cosine, sine:
   [position][head_dim]. Sizes of hidden, inner and head_dim are multiples of LANES. Rows may be positions of one
   sequence, in order. It may go on in another thread, which waits, layer by layer, for the count in `ahead` that
   this one leaves in `done`; either may be null. */
__attribute__((flatten)) void parlando_step(
    const Sizes *s, const Layer *layers, int64_t blocks, const int64_t *sizes, const int64_t *texts, float *x,
    const int64_t *cache_rows, const int64_t *positions, const float *cosine, const float *sine, const Cache *cache,
    const Watched *watched, const Scratch *room, const int64_t *ahead, int64_t *done)
{
    for (int64_t index = 0; index < s->layers; index++) {
        int64_t first = 0;
        for (int64_t block = 0; block < blocks; first += sizes[block++])
            pass(s, layers + index, index, sizes[block], texts[block], x + first * s->hidden, cache_rows + first,
                 positions + first, cosine, sine, cache, watched, room, ahead);
        if (done)
            __atomic_store_n(done, index + 1, __ATOMIC_RELEASE);
    }
}

/* Normalise at most BLOCK rows and multiply them by a head's matrix: out[row][outputs]. */
__attribute__((flatten)) void parlando_head(
    const Sizes *s, int64_t rows, const float *x, const float *norm, const Matrix *head, int64_t outputs, float *out,
    const Scratch *room)
{
    for (int64_t row = 0; row < rows; row++)
        normalise(x + row * s->hidden, norm, s->hidden, s->epsilon, room->normed + row * s->hidden);
    product(room->normed, rows, s->hidden, s->hidden, head, out, outputs, 0, room->across);
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
