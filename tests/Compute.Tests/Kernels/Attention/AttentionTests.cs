using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Compute.Kernels.Attention;

namespace Lamina.Compute.Tests.Kernels.Attention;

/// <summary>Attention over the paged cache against the plain formula in double precision, for every instruction set.</summary>
public sealed unsafe class AttentionTests
{
    private const int Length = 300;
    private const int Heads = 6;
    private const int KvHeads = 2;

    public static TheoryData<CpuVariant, GgmlType, WindowKind, int, float, bool, int, int> Cases
    {
        get
        {
            var cases = new TheoryData<CpuVariant, GgmlType, WindowKind, int, float, bool, int, int>();
            foreach (CpuVariant variant in CpuVariants.Available)
            {
                cases.Add(variant, GgmlType.F16, WindowKind.Full, 0, 0, false, 24, 40);
                cases.Add(variant, GgmlType.F16, WindowKind.Sliding, 70, 0, false, 64, 64);
                cases.Add(variant, GgmlType.F16, WindowKind.Chunked, 50, 0, false, 16, 8);
                cases.Add(variant, GgmlType.F16, WindowKind.Full, 0, 5, true, 32, 96);
                cases.Add(variant, GgmlType.Q8_0, WindowKind.Sliding, 130, 0, true, 48, 80);
                cases.Add(variant, GgmlType.Q4_0, WindowKind.Full, 0, 0, false, 40, 72);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Attention_OverManyBlocks_MatchesTheFormula(CpuVariant variant, GgmlType type, WindowKind kind, int window, float cap, bool sinks, int keyLength, int valueLength)
    {
        using var setting = new Setting(variant, type, keyLength, valueLength);
        (WindowKind, int, float, bool) form = (kind, window, cap, sinks);
        float[] whole = setting.Run(form, 0, Length);
        double tolerance = type switch { GgmlType.F16 => 2e-3, GgmlType.Q8_0 => 2e-2, _ => 0.2 };
        foreach (int row in new[] { 0, 1, 15, 16, 31, 32, 127, 128, 200, 299 })
        {
            for (int head = 0; head < Heads; head++)
            {
                double[] expected = setting.Expected(form, row, head);
                for (int d = 0; d < valueLength; d++)
                {
                    Assert.Equal(expected[d], whole[(((row * Heads) + head) * valueLength) + d], tolerance);
                }
            }
        }
    }

    [Theory]
    [InlineData(GgmlType.F16)]
    [InlineData(GgmlType.Q8_0)]
    [InlineData(GgmlType.Q4_0)]
    public void Attention_InAnyChunkAndVariant_GivesTheSameBits(GgmlType type)
    {
        using var reference = new Setting(CpuVariant.Scalar, type, 24, 40);
        float[] expected = reference.Run((WindowKind.Sliding, 150, 0, true), 0, Length);
        foreach (CpuVariant variant in CpuVariants.Available)
        {
            using var setting = new Setting(variant, type, 24, 40);
            foreach (int chunk in new[] { 1, 17, 300 })
            {
                var parts = new List<float>();
                for (int row = 0; row < Length; row += chunk)
                {
                    parts.AddRange(setting.Run((WindowKind.Sliding, 150, 0, true), row, Math.Min(chunk, Length - row)));
                }

                Assert.Equal(expected.Select(BitConverter.SingleToInt32Bits), parts.Select(BitConverter.SingleToInt32Bits));
            }
        }
    }

    /// <summary>Random queries, keys and values of one sequence, its blocks scattered over the pool.</summary>
    private sealed class Setting : IDisposable
    {
        private const int BlockCount = 12;
        private readonly KvLayout _layout;
        private readonly WorkerTeam _team;
        private readonly CpuKernels _kernels;
        private readonly float[] _queries, _keys, _values, _sinks;
        private readonly NativeBuffer _pool;
        private readonly int[] _table = GC.AllocateArray<int>(BlockCount, pinned: true);
        private readonly AttentionWorkspace _workspace;

        public Setting(CpuVariant variant, GgmlType type, int keyLength, int valueLength)
        {
            _layout = new KvLayout(type, KvHeads, keyLength, valueLength);
            _team = new WorkerTeam(2, variant);
            _kernels = CpuKernels.For(_team);
            _queries = Random(Length * Heads * keyLength, 1);
            _keys = Random(Length * KvHeads * keyLength, 2);
            _values = Random(Length * KvHeads * valueLength, 3);
            _sinks = Random(Heads, 4);
            _pool = new NativeBuffer(_layout.BlockBytes * BlockCount);
            for (int b = 0; b < BlockCount; b++)
            {
                _table[b] = b * 5 % BlockCount;
            }

            nint table = System.Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(_table, 0);
            _workspace = new AttentionWorkspace(_team.Workers, Length, valueLength, _ => table);
            Run((WindowKind.Full, 0, 0, false), 0, Length);
        }

        /// <summary>Stores rows [first, first + rows) and attends with them.</summary>
        public float[] Run((WindowKind Kind, int Window, float Cap, bool Sinks) form, int first, int rows)
        {
            int[] positions = [.. Enumerable.Range(first, rows)], blocks = [.. positions.Select(p => _table[p / 32])];
            var output = new float[rows * Heads * _layout.ValueLength];
            fixed (float* q = _queries, k = _keys, v = _values, s = _sinks, o = output)
            fixed (int* p = positions, b = blocks)
            {
                int queryWidth = Heads * _layout.KeyLength, keyWidth = KvHeads * _layout.KeyLength, valueWidth = KvHeads * _layout.ValueLength;
                _kernels.StoreKeyValues(
                    new KeyValueRows
                    {
                        Layout = _layout,
                        Keys = new Rows(k, keyWidth).Skip(first),
                        Values = new Rows(v, valueWidth).Skip(first),
                        Positions = p,
                        Blocks = b,
                        Pool = _pool.Pointer,
                    },
                    rows);
                _kernels.Attend(
                    new AttentionLayer
                    {
                        Layout = _layout,
                        Heads = Heads,
                        Scale = 0.5f,
                        SoftCap = form.Cap,
                        WindowKind = form.Kind,
                        Window = form.Window,
                        Causal = true,
                        Sinks = form.Sinks ? s : null,
                        Queries = new Rows(q, queryWidth).Skip(first),
                        Output = new Rows(o, Heads * _layout.ValueLength),
                        Positions = p,
                        Pool = _pool.Pointer,
                    },
                    new int[rows],
                    _workspace);
            }

            return output;
        }

        public double[] Expected((WindowKind Kind, int Window, float Cap, bool Sinks) form, int row, int head)
        {
            int kvHead = head / (Heads / KvHeads), keyLength = _layout.KeyLength, valueLength = _layout.ValueLength;
            int first = form.Kind switch
            {
                WindowKind.Sliding => Math.Max(0, row - form.Window + 1),
                WindowKind.Chunked => row - (row % form.Window),
                _ => 0,
            };
            double sum = form.Sinks ? Math.Exp(_sinks[head]) : 0;
            var result = new double[valueLength];
            for (int p = first; p <= row; p++)
            {
                double score = 0;
                for (int d = 0; d < keyLength; d++)
                {
                    score += (double)_queries[(((row * Heads) + head) * keyLength) + d] * _keys[(((p * KvHeads) + kvHead) * keyLength) + d];
                }

                score *= 0.5;
                double weight = Math.Exp(form.Cap == 0 ? score : form.Cap * Math.Tanh(score / form.Cap));
                sum += weight;
                for (int d = 0; d < valueLength; d++)
                {
                    result[d] += weight * _values[(((p * KvHeads) + kvHead) * valueLength) + d];
                }
            }

            return [.. result.Select(value => value / sum)];
        }

        public void Dispose()
        {
            _workspace.Dispose();
            _pool.Dispose();
            _team.Dispose();
        }

        private static float[] Random(int count, int seed)
        {
            var random = new Random(seed);
            return [.. Enumerable.Range(0, count).Select(_ => (random.NextSingle() * 2) - 1)];
        }
    }
}
