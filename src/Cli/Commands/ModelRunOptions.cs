using System.CommandLine;
using Lamina.Cli.Embedded;
using Lamina.Compute.Devices;

namespace Lamina.Cli.Commands;

/// <summary>Options of the commands that run a model themselves: which file, over how many nodes, with how many threads.</summary>
internal sealed class ModelRunOptions
{
    private readonly Argument<string> _model = new("MODEL") { Description = "GGUF file." };
    private readonly Option<int> _nodes = new("--nodes") { Description = "Node processes to spread the layers over; 1 runs in this process.", DefaultValueFactory = _ => 1 };
    private readonly Option<int> _threads = new("--threads", "-t") { Description = "Compute threads per stage; 0 = all cores.", DefaultValueFactory = _ => 0 };
    private readonly Option<string?> _stages = new("--stages") { Description = "Layers of each stage, e.g. \"0-7,8-15\"; planned when not given." };
    private readonly Option<int> _context = new("--context", "-c") { Description = "Longest sequence in tokens; 0 = the model's own, at most 8192.", DefaultValueFactory = _ => 0 };

    private readonly Option<int> _speculate = SpeculateOption();
    private readonly Option<string> _kvType = KvTypeOption();

    /// <summary>Refuses another name as wrong usage.</summary>
    public static Option<string> KvTypeOption()
    {
        Option<string> option = new("--kv-type") { Description = "How keys and values are kept: f16, q8_0 or q4_0.", DefaultValueFactory = _ => "f16" };
        option.AcceptOnlyFromAmong("f16", "q8_0", "q4_0");
        return option;
    }

    private readonly Option<string?> _draft = DraftOption();
    private readonly Option<string?> _device = DeviceOption();

    public static Option<string?> DeviceOption(string? description = null) => new("--device")
    {
        Description = description ?? "What to compute on: cpu (when not given), cuda:N, or auto for the first GPU that can be used; for several nodes one each, e.g. \"cuda:0,cpu\".",
    };

    public static Option<string?> DraftOption() => new("--draft") { Description = "GGUF file of a small model with the same vocabulary that guesses ahead; with --speculate tokens at most, 8 when not given." };

    /// <summary>Tokens to guess ahead: as given, else some where there is a draft model.</summary>
    public static int DraftTokens(int speculate, string? draft) => Bounds.Within(speculate, 0, 64, "--speculate") is 0 && draft is not null ? DefaultDraftTokens : speculate;

    private const int DefaultDraftTokens = 8;

    public static Option<int> SpeculateOption() => new("--speculate")
    {
        Description = "Tokens to guess ahead at most, by a draft model or where a text repeats itself, verified in one step, with the same answer; 0 = none.",
        DefaultValueFactory = _ => 0,
    };

    public void AddTo(Command command)
    {
        command.Arguments.Add(_model);
        foreach (Option option in new Option[] { _nodes, _threads, _stages, _context, _speculate, _draft, _kvType, _device })
        {
            command.Options.Add(option);
        }
    }

    public SessionOptions Read(ParseResult parsed) => new()
    {
        ModelPath = parsed.GetRequiredValue(_model),
        Nodes = Bounds.Within(parsed.GetValue(_nodes), 1, 64, "--nodes"),
        Threads = Bounds.Within(parsed.GetValue(_threads), 0, 1024, "--threads"),
        Stages = parsed.GetValue(_stages),
        ContextLength = Bounds.AtLeast(parsed.GetValue(_context), 0, "--context"),
        DraftPath = parsed.GetValue(_draft),
        DraftTokens = DraftTokens(parsed.GetValue(_speculate), parsed.GetValue(_draft)),
        KvCacheType = parsed.GetValue(_kvType)!,
        Devices = Devices(parsed.GetValue(_device), parsed.GetValue(_nodes)),
    };

    /// <summary>The device of each node: as given, one for all of them or one each. Throws <see cref="UsageException"/> for names that are none and for another number.</summary>
    public static IReadOnlyList<string> Devices(string? given, int nodes)
    {
        string[] names = given is null ? ["cpu"] : given.Split(',', StringSplitOptions.TrimEntries);
        if (Array.Find(names, name => !ComputeDevice.IsName(name)) is { } unknown)
        {
            throw new UsageException($"--device: '{unknown}' is no device; there are {ComputeDevice.Names}");
        }

        return names.Length == nodes ? names
            : names.Length == 1 ? [.. Enumerable.Repeat(names[0], nodes)]
            : throw new UsageException($"--device names {names.Length} devices for {nodes} nodes; give one for all, or one each");
    }
}
