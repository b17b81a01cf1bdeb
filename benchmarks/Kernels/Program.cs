using System.Globalization;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Kernels.Bench;

// Kernels.Bench [-t threads] [-v scalar|avx2|avx512] [-r rounds] [type...]: decode in GB/s of weights beside a plain read loop, prompts in GMAC/s.
int threads = 2, rounds = 15;
CpuVariant variant = CpuVariants.Chosen;
var types = new List<GgmlType>();
for (int i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "-t": threads = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-r": rounds = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-v": variant = Enum.Parse<CpuVariant>(args[++i], ignoreCase: true); break;
        default: types.Add(Enum.Parse<GgmlType>(args[i], ignoreCase: true)); break;
    }
}

if (types.Count == 0)
{
    types = [GgmlType.Q4_0, GgmlType.Q4_K, GgmlType.Q6_K, GgmlType.Q8_0, GgmlType.Q5_K, GgmlType.F16, GgmlType.BF16];
}

Console.WriteLine($"{variant}, {threads} threads, best of {rounds} interleaved rounds; weights {MatMulCase.Rows} x {MatMulCase.Columns}, decode over {MatMulCase.StreamMegabytes} MB");
Console.WriteLine($"{"",-8}{"read GB/s",10}{"decode",9}{"ratio",7}{"hot",8} |{string.Concat(MatMulCase.Batches.Select(b => $"{$"{b} rows",10}"))}  GMAC/s");
foreach (GgmlType type in types)
{
    using var bench = new MatMulCase(type, threads, variant);
    Console.WriteLine(bench.Measure(rounds));
}
