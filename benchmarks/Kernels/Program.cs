using System.Globalization;
using Lamina.Compute.Gguf;
using Lamina.Compute.Kernels;
using Lamina.Kernels.Bench;

// Kernels.Bench [-t threads] [-v scalar|avx2|avx512] [-r rounds] [type...]: decode in GB/s of weights beside a plain read loop, prompts in GMAC/s.
// Kernels.Bench -g [VOCABULARY.gguf] [-d milliseconds]: what grammars cost a step, with a made-up vocabulary of 128k tokens or a file's, beside a decode step of so many milliseconds.
// Kernels.Bench [the same] -m MODEL [-p prompt] [-n decode] [-c context]: a whole model through one stage.
int threads = 2, rounds = 15, prompt = 128, decode = 32, context = 0;
string? model = null, vocabulary = null;
bool grammars = false;
double decodeMilliseconds = 0;
CpuVariant variant = CpuVariants.Chosen;
var types = new List<GgmlType>();
for (int i = 0; i < args.Length; i++)
{
    switch (args[i])
    {
        case "-t": threads = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-r": rounds = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-p": prompt = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-n": decode = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-c": context = int.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-g":
            grammars = true;
            vocabulary = i + 1 < args.Length && !args[i + 1].StartsWith('-') ? args[++i] : null;
            break;
        case "-d": decodeMilliseconds = double.Parse(args[++i], CultureInfo.InvariantCulture); break;
        case "-m": model = args[++i]; break;
        case "-v": variant = Enum.Parse<CpuVariant>(args[++i], ignoreCase: true); break;
        default: types.Add(Enum.Parse<GgmlType>(args[i], ignoreCase: true)); break;
    }
}

if (grammars)
{
    GrammarCase.Measure(vocabulary, decodeMilliseconds);
    return;
}

if (model is not null)
{
    ModelCase.Measure(model, threads, variant, prompt, decode, context, rounds);
    return;
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
