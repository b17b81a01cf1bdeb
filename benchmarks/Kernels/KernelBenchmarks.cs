using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using BenchmarkDotNet.Attributes;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;

namespace Lamina.Kernels.Bench;

/// <summary>What the machine can do at most, on as many threads as the kernels get: reading from memory, and multiplying bytes in registers.</summary>
public unsafe class MachineLimits
{
    internal const long ReadBytes = KernelBenchmarks.StreamBytes;
    internal const long Products = 1L << 30;

    private const int Chunks = 64;

    private WorkerTeam _team = null!;
    private NativeBuffer _memory = null!;

    [ParamsSource(typeof(KernelBenchmarks), nameof(KernelBenchmarks.ThreadCounts))]
    public int Threads { get; set; }

    [GlobalSetup]
    public void SetUp()
    {
        _team = new WorkerTeam(Threads);
        _memory = new NativeBuffer(ReadBytes);
        new Span<byte>((byte*)_memory.Pointer, (int)ReadBytes).Fill(1);
    }

    [GlobalCleanup]
    public void CleanUp()
    {
        _memory.Dispose();
        _team.Dispose();
    }

    [Benchmark]
    public void Read() => _team.Run(new ReadJob((byte*)_memory.Pointer), Chunks);

    [Benchmark]
    public void MultiplyBytes() => _team.Run(new MultiplyJob(), Chunks);

    private readonly struct ReadJob(byte* memory) : IJob
    {
        public void Execute(int chunk, int worker) => Sum(memory + (ReadBytes / Chunks * chunk), memory + (ReadBytes / Chunks * (chunk + 1)));

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static Vector256<int> Sum(byte* from, byte* to)
        {
            Vector256<int> a = default, b = default;
            for (; from < to; from += 64)
            {
                a += Vector256.Load((int*)from);
                b += Vector256.Load((int*)(from + 32));
            }

            return a + b;
        }
    }

    // Byte products summed to int16: what every integer kernel's inner loop is made of.
    private readonly struct MultiplyJob : IJob
    {
        public void Execute(int chunk, int worker) => Multiply(Products / Chunks / (6 * 32));

        [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
        private static Vector256<short> Multiply(long rounds)
        {
            Vector256<byte> weights = Vector256.Create((byte)3);
            Vector256<sbyte> values = Vector256.Create((sbyte)-2);
            Vector256<short> a = default, b = default, c = default, d = default, e = default, f = default;
            for (; rounds > 0; rounds--)
            {
                // The values change, lest the products be taken out of the loop.
                values ^= Vector256<sbyte>.One;
                a += Avx2.MultiplyAddAdjacent(weights, values);
                b -= Avx2.MultiplyAddAdjacent(weights, values ^ Vector256.Create((sbyte)2));
                c ^= Avx2.MultiplyAddAdjacent(weights, values ^ Vector256.Create((sbyte)4));
                d += Avx2.MultiplyAddAdjacent(weights, values ^ Vector256.Create((sbyte)8));
                e -= Avx2.MultiplyAddAdjacent(weights, values ^ Vector256.Create((sbyte)16));
                f ^= Avx2.MultiplyAddAdjacent(weights, values ^ Vector256.Create((sbyte)32));
            }

            return a + b + c + d + e + f;
        }
    }
}

/// <summary>A weight matrix of 8192 × 2048 times one row (decoding) to 128 rows (a prompt). Up to four rows stream weights from memory, more reuse what the cache holds.</summary>
public unsafe class KernelBenchmarks
{
    internal const int WeightRows = 8192;
    internal const int Columns = 2048;
    internal const int StreamBytes = 160_000_000;

    private WorkerTeam _team = null!;
    private WeightMatrix[] _matrices = null!;
    private ActivationRows _x = null!;
    private NativeBuffer _output = null!;
    private NativeBuffer _input = null!;

    public static IEnumerable<GgmlType> Types =>
        [GgmlType.Q4_0, GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0, GgmlType.Q5_K, GgmlType.IQ4_XS, GgmlType.MXFP4, GgmlType.F16, GgmlType.BF16];

    public static IEnumerable<int> ThreadCounts => Environment.ProcessorCount == 1 ? [1] : [1, Environment.ProcessorCount];

    [ParamsSource(nameof(Types))]
    public GgmlType Type { get; set; }

    [Params(1, 2, 3, 4, 8, 16, 128)]
    public int Rows { get; set; }

    [ParamsSource(nameof(ThreadCounts))]
    public int Threads { get; set; }

    /// <summary>How many matrices one operation multiplies.</summary>
    internal static int Matrices(GgmlType type, int rows) => rows > 4 ? 1 : (int)Math.Max(1, StreamBytes / GgmlTypes.ByteLength(type, (long)WeightRows * Columns));

    [GlobalSetup]
    public void SetUp()
    {
        _team = new WorkerTeam(Threads);
        byte[] bytes = RandomWeights.Bytes(Type, WeightRows, Columns, seed: 1);
        fixed (byte* pointer = bytes)
        {
            var tensor = new TensorView("weights", Type, Columns, WeightRows, [Columns, WeightRows], (nint)pointer, bytes.Length);
            _matrices = new WeightMatrix[Matrices(Type, Rows)];
            for (int i = 0; i < _matrices.Length; i++)
            {
                _matrices[i] = WeightMatrix.Pack(_team, tensor);
            }
        }

        _output = new NativeBuffer((long)WeightRows * Rows * 4);
        _input = new NativeBuffer((long)Columns * Rows * 4);
        _x = new ActivationRows(Rows, Columns);
        var random = new Random(2);
        for (int i = 0; i < Columns * Rows; i++)
        {
            ((float*)_input.Pointer)[i] = random.NextSingle() - 0.5f;
        }
    }

    [GlobalCleanup]
    public void CleanUp()
    {
        foreach (WeightMatrix matrix in _matrices)
        {
            matrix.Dispose();
        }

        _x.Dispose();
        _input.Dispose();
        _output.Dispose();
        _team.Dispose();
    }

    [Benchmark]
    public void Multiply()
    {
        _x.Set((float*)_input.Pointer, Columns, Rows, Columns);
        foreach (WeightMatrix matrix in _matrices)
        {
            MatMul.Multiply(_team, matrix, _x, (float*)_output.Pointer, WeightRows);
        }
    }
}
