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
    private const double LargestDifference = 15;

    /// <summary>Keys of which nearly all is right are refused in the time in which those are of which nothing but the id is right.</summary>
    [Fact]
    [Trait("Attack", "D5")]
    public async Task Authenticate_NearlyRightAndWhollyWrong_TakeTheSameTime()
    {
        await using TestState state = await TestState.CreateAsync();
        NewKey made = await state.NewKeyAsync(TestState.Alpha);
        KeyRing ring = await state.OpenRingAsync();

        // A leak shows in every attempt and to the same side; the machine's other load does not. Caches and predictors leave nanoseconds, a comparison that stops at the first
        // difference leaves about one a character.
        List<(double T, double Nanoseconds)> seen = [];
        for (int attempt = 0; attempt < 5; attempt++)
        {
            (string[] nearly, string[] wholly) = Variants(made);
            seen.Add(Difference(ring, nearly, wholly));
            if (Math.Abs(seen[^1].T) < Noise || Math.Abs(seen[^1].Nanoseconds) < LargestDifference || seen.Any(found => Math.Sign(found.T) != Math.Sign(seen[0].T)))
            {
                return;
            }
        }

        Assert.Fail($"t = {string.Join("; ", seen)}");
    }

    /// <summary>
    /// Both begin alike among themselves, with the right beginning or with a wrong one, since a processor learns what it sees often; both end at random; and both lie side by
    /// side in memory.
    /// </summary>
    private static (string[] Nearly, string[] Wholly) Variants(NewKey key)
    {
        int head = ApiKeyText.Length - 43;
        string[] nearly = new string[Texts], wholly = new string[Texts];
        string wrong = ApiKeyText.Create(key.Key.Id);
        for (int i = 0; i < Texts; i++)
        {
            string other = ApiKeyText.Create(key.Key.Id), another = ApiKeyText.Create(key.Key.Id);
            nearly[i] = string.Concat(key.Text.AsSpan(0, head + 40), other.AsSpan(head + 40));
            wholly[i] = string.Concat(wrong.AsSpan(0, head + 40), another.AsSpan(head + 40));
        }

        return (nearly, wholly);
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
    private static (double T, double Nanoseconds) Difference(KeyRing ring, string[] a, string[] b)
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
        return ((one.Mean - other.Mean) / Math.Sqrt(one.Error + other.Error), (one.Mean - other.Mean) * 1e9 / Stopwatch.Frequency);
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
