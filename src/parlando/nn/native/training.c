/* What stands between the products of a transformer in training, forwards and backwards, each in one pass over memory.

   Products take and give bfloat16, as matrix units want it; the residual stream and all sums are float. In PyTorch each
   of these is a chain of operations that write everything they make to memory and read it again, which costs more than
   the products between them. */

#include "panels.h"

typedef uint32_t uvec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t narrow_vec __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

static inline vec load_narrow(const uint16_t *from)
{
    return (vec)(__builtin_convertvector(*(const narrow_vec *)from, uvec) << 16);
}

/* To the nearest, and to the even one of two that are equally near. */
static inline void store_narrow(uint16_t *to, vec value)
{
    const uvec bits = (uvec)value;
    *(narrow_vec *)to = __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, narrow_vec);
}

static inline float load_one(const uint16_t *from)
{
    const uint32_t bits = (uint32_t)*from << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Root mean square normalisation: y = x * scale * weight, and the scale of every row. */
void parlando_norm(
    int64_t rows, int64_t size, const float *x, const float *weight, double epsilon, uint16_t *y, float *scales)
{
    for (int64_t row = 0; row < rows; row++, x += size, y += size) {
        vec squares = {0};
        for (int64_t i = 0; i < size; i += LANES)
            squares += load_float(x + i) * load_float(x + i);
        const float scale = (float)(1.0 / sqrt((double)sum_of(squares) / (double)size + epsilon));
        scales[row] = scale;
        for (int64_t i = 0; i < size; i += LANES)
            store_narrow(y + i, load_float(x + i) * scale * load_float(weight + i));
    }
}

/* The gradients of its input, and of its weight, which is added to. */
void parlando_norm_back(
    int64_t rows, int64_t size, const uint16_t *dy, const float *x, const float *weight, const float *scales, float *dx,
    float *dweight)
{
    for (int64_t row = 0; row < rows; row++, dy += size, x += size, dx += size) {
        const float scale = scales[row];
        vec along = {0};
        for (int64_t i = 0; i < size; i += LANES) {
            const vec slope = load_narrow(dy + i), value = load_float(x + i);
            along += slope * load_float(weight + i) * value;
            *(vec *)(dweight + i) += slope * value * scale;
        }
        const float share = sum_of(along) / (float)size * scale * scale;
        for (int64_t i = 0; i < size; i += LANES)
            *(vec *)(dx + i) = (load_narrow(dy + i) * load_float(weight + i) - load_float(x + i) * share) * scale;
    }
}

static inline vec sigmoid(vec x) { return 1.0f / (1.0f + exponential(-x)); }

/* h = silu(gate) * up; the sizes are multiples of LANES. */
void parlando_gate(int64_t size, const uint16_t *gate, const uint16_t *up, uint16_t *h)
{
    for (int64_t i = 0; i < size; i += LANES) {
        const vec g = load_narrow(gate + i);
        store_narrow(h + i, g * sigmoid(g) * load_narrow(up + i));
    }
}

void parlando_gate_back(
    int64_t size, const uint16_t *dh, const uint16_t *gate, const uint16_t *up, uint16_t *dgate, uint16_t *dup)
{
    for (int64_t i = 0; i < size; i += LANES) {
        const vec slope = load_narrow(dh + i), g = load_narrow(gate + i), s = sigmoid(g);
        store_narrow(dup + i, slope * g * s);
        store_narrow(dgate + i, slope * load_narrow(up + i) * s * (1.0f + g * (1.0f - s)));
    }
}

/* Which of LANES numbers from `place` on are kept: a hash of seed and place (Murmur3's last steps) against a bound. */
static inline ivec kept(int64_t seed, int64_t place, int64_t bound)
{
    uvec hash;
    for (uint32_t lane = 0; lane < LANES; lane++)
        hash[lane] = (uint32_t)place + lane;
    hash = hash * 0x9e3779b1u + (uint32_t)seed;
    hash = (hash ^ (hash >> 16)) * 0x85ebca6bu;
    hash = (hash ^ (hash >> 13)) * 0xc2b2ae35u;
    hash ^= hash >> 16;
    return (ivec)(hash >= (uint32_t)bound);
}

/* sum = x + y, of which what falls below the bound is dropped and the others are scaled. */
void parlando_add(
    int64_t size, const float *x, const uint16_t *y, int64_t seed, int64_t bound, double scale, float *sum)
{
    for (int64_t i = 0; i < size; i += LANES) {
        const vec added = load_narrow(y + i) * (float)scale;
        *(vec *)(sum + i) = load_float(x + i) + (bound ? (vec)((ivec)added & kept(seed, i, bound)) : added);
    }
}

void parlando_add_back(int64_t size, const float *dsum, int64_t seed, int64_t bound, double scale, uint16_t *dy)
{
    for (int64_t i = 0; i < size; i += LANES) {
        const vec slope = load_float(dsum + i) * (float)scale;
        store_narrow(dy + i, bound ? (vec)((ivec)slope & kept(seed, i, bound)) : slope);
    }
}

/* Rotary positions: from [batch][position][head][dim] to [batch][head][position][dim], or back the other way round with
   angles of the other sign. The first half of sine is negated; half of dim is a multiple of LANES. */
void parlando_turn(
    int64_t batch, int64_t positions, int64_t heads, int64_t dim, const uint16_t *from, const float *cosine,
    const float *sine, int64_t is_back, uint16_t *to)
{
    const int64_t half = dim / 2;
    for (int64_t b = 0; b < batch; b++)
        for (int64_t p = 0; p < positions; p++)
            for (int64_t h = 0; h < heads; h++) {
                const int64_t mixed = ((b * positions + p) * heads + h) * dim;
                const int64_t apart = ((b * heads + h) * positions + p) * dim;
                const uint16_t *x = from + (is_back ? apart : mixed);
                uint16_t *y = to + (is_back ? mixed : apart);
                const float *c = cosine + p * dim, *s = sine + p * dim;
                for (int64_t i = 0; i < half; i += LANES) {
                    const vec a = load_narrow(x + i), z = load_narrow(x + half + i);
                    const vec low = load_float(s + i), high = load_float(s + half + i);
                    store_narrow(y + i, a * load_float(c + i) + z * (is_back ? high : low));
                    store_narrow(y + half + i, z * load_float(c + half + i) + a * (is_back ? low : high));
                }
            }
}

/* In place, the softmax of a row's first `known` numbers, and zeros after them; `size` numbers in all. */
static inline void soften(uint16_t *row, int64_t known, int64_t size, float scale)
{
    float room[size + LANES];
    const int64_t whole = (known + LANES - 1) / LANES * LANES;
    vec most = spread(-INFINITY), sums = {0};
    for (int64_t i = 0; i < known; i++)
        room[i] = load_one(row + i) * scale;
    for (int64_t i = known; i < whole; i++)
        room[i] = -INFINITY;
    for (int64_t i = 0; i < whole; i += LANES) {
        const vec value = load_float(room + i);
        const ivec above = value > most;
        most = (vec)(((ivec)value & above) | ((ivec)most & ~above));
    }
    float largest = most[0];
    for (int i = 1; i < LANES; i++)
        largest = most[i] > largest ? most[i] : largest;
    for (int64_t i = 0; i < whole; i += LANES) {
        vec value = exponential(load_float(room + i) - largest);
        for (int64_t lane = known - i; lane < LANES; lane++)
            value[lane] = 0.0f;
        sums += value;
        *(vec *)(room + i) = value;
    }
    const float share = 1.0f / sum_of(sums);
    int64_t i = 0;
    for (; i + LANES <= size && i < whole; i += LANES)
        store_narrow(row + i, load_float(room + i) * share);
    for (; i < known; i++) {
        uint16_t narrow[LANES];
        store_narrow(narrow, spread(room[i] * share));
        row[i] = narrow[0];
    }
    if (i < size)
        memset(row + i, 0, (size_t)(size - i) * sizeof *row);
}

/* Scores [matrix][query][key] of queries that see themselves and what comes before them, `keys` queries one after the
   other in every `keys` rows, become probabilities in place. */
void parlando_soften(int64_t rows, int64_t keys, double scale, uint16_t *scores)
{
    for (int64_t row = 0; row < rows; row++)
        soften(scores + row * keys, row % keys + 1, keys, (float)scale);
}

/* The gradient of probabilities becomes that of scores in place. */
void parlando_soften_back(int64_t rows, int64_t keys, double scale, const uint16_t *probabilities, uint16_t *slopes)
{
    for (int64_t row = 0; row < rows; row++, probabilities += keys, slopes += keys) {
        const int64_t known = row % keys + 1;
        vec sums = {0};
        float rest = 0.0f;
        int64_t i = 0;
        for (; i + LANES <= known; i += LANES)
            sums += load_narrow(probabilities + i) * load_narrow(slopes + i);
        for (; i < known; i++)
            rest += load_one(probabilities + i) * load_one(slopes + i);
        const float mean = sum_of(sums) + rest;
        for (i = 0; i + LANES <= keys && i < known; i += LANES)
            store_narrow(slopes + i, load_narrow(probabilities + i) * (load_narrow(slopes + i) - mean) * (float)scale);
        for (; i < known; i++) {
            uint16_t narrow[LANES];
            store_narrow(narrow, spread(load_one(probabilities + i) * (load_one(slopes + i) - mean) * (float)scale));
            slopes[i] = narrow[0];
        }
        if (i < keys)
            memset(slopes + i, 0, (size_t)(keys - i) * sizeof *slopes);
    }
}
