using System.Diagnostics;
using System.Text.RegularExpressions;
using Lamina.Coordinator.Access;
using Lamina.Coordinator.Tests.Support;
using Lamina.TestSupport;

namespace Lamina.Coordinator.Tests.Access;

public partial class KeyTimingTests
{
    private const int Samples = 100_000;
    private const int Texts = 512;
    private const double Noise = 5;

    /// <summary>Keys of which nearly all is right are refused in the time in which those are of which nothing but the id is right.</summary>
    [Fact]
    [Trait("Attack", "D5")]
    public async Task Authenticate_NearlyRightAndWhollyWrong_TakeTheSameTime()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(TestState.Alpha);
        KeyRing ring = await state.OpenRingAsync();

        // Random ends on both sides: how long a text takes to be read may depend on its characters, which are its sender's.
        string[] nearly = Variants(made, right: 40), wholly = Variants(made, right: 0);

        // A leak shows in every attempt and to the same side; the machine's other load does not.
        List<double> seen = [];
        for (int attempt = 0; attempt < 5; attempt++)
        {
            seen.Add(Difference(ring, nearly, wholly));
            if (Math.Abs(seen[^1]) < Noise || seen.Any(t => Math.Sign(t) != Math.Sign(seen[0])))
            {
                return;
            }
        }

        Assert.Fail($"t = {string.Join("; ", seen)}");
    }

    private static string[] Variants(NewKey key, int right)
    {
        string head = $"{ApiKeyText.Prefix}{key.Key.Id}_";
        return [.. Enumerable.Range(0, Texts).Select(_ => ApiKeyText.Create(key.Key.Id)).Select(other => key.Text[..(head.Length + right)] + other[(head.Length + right)..])];
    }

    /// <summary>What is secret is compared by <c>FixedTimeEquals</c> only.</summary>
    [Fact]
    [Trait("Attack", "D5")]
    public void Secrets_AreNeverComparedByOperators()
    {
        string[] files =
        [
            .. Directory.GetFiles(Path.Combine(Repository.Root, "src", "Coordinator", "Access"), "*.cs"),
            .. Directory.GetFiles(Path.Combine(Repository.Root, "src", "Coordinator", "State"), "*.cs"),
            .. Directory.GetFiles(Path.Combine(Repository.Root, "src", "Coordinator", "Api"), "*Key*.cs"),
        ];
        string[] found = [.. files.SelectMany(file => File.ReadLines(file).Where(line => SecretComparison().IsMatch(line)).Select(line => $"{Path.GetFileName(file)}: {line.Trim()}"))];

        Assert.InRange(files.Length, 10, 100);
        Assert.Empty(found);
        Assert.Matches(SecretComparison(), "if (entry.Hash == presented)");
        Assert.Contains("FixedTimeEquals", File.ReadAllText(files.Single(file => Path.GetFileName(file) == "ApiKey.cs")), StringComparison.Ordinal);
    }

    /// <summary>Welch's t of the two kinds' times, measured in turn, without the slowest twentieth, which is interruptions.</summary>
    private static double Difference(KeyRing ring, string[] a, string[] b)
    {
        var random = new Random(7);
        double[] times = new double[Samples], others = new double[Samples];
        for (int i = -Samples / 10; i < Samples; i++)
        {
            string first = a[random.Next(Texts)], second = b[random.Next(Texts)];
            bool swap = random.Next(2) == 0;
            long start = Stopwatch.GetTimestamp();
            ring.Authenticate(swap ? second : first);
            long middle = Stopwatch.GetTimestamp();
            ring.Authenticate(swap ? first : second);
            long end = Stopwatch.GetTimestamp();
            if (i >= 0)
            {
                (times[i], others[i]) = swap ? (end - middle, middle - start) : (middle - start, end - middle);
            }
        }

        (double Mean, double Error) one = Trimmed(times), other = Trimmed(others);
        return (one.Mean - other.Mean) / Math.Sqrt(one.Error + other.Error);
    }

    private static (double Mean, double Error) Trimmed(double[] values)
    {
        double[] kept = [.. values.Order().Take(values.Length * 19 / 20)];
        double mean = kept.Average();
        return (mean, kept.Sum(value => (value - mean) * (value - mean)) / kept.Length / kept.Length);
    }

    [GeneratedRegex(@"\b(\w*[Hh]ash|presented|\w*[Mm]ac|\w*Secret)\s*(==|!=)|(==|!=)\s*[\w.?]*\b(\w*Hash|presented)\b|[Hh]ash[\w.?()]*\.(SequenceEqual|Equals)\(")]
    private static partial Regex SecretComparison();
}
