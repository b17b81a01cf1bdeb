using Lamina.Cluster.Identity;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;

namespace Lamina.Coordinator.Tests.Support;

/// <summary>
/// A head on a real link that "computes" token i as a function of position i alone, and misbehaves as told. What it receives is a resumable
/// submission, so a generation that moves between such heads must show the tokens of one that did not.
/// </summary>
internal sealed class ScriptedHead : IAsyncDisposable
{
    private readonly LinkListener _listener;
    private readonly List<Link> _links = [];

    /// <summary>Decides, per submission, after how many tokens the link is cut; null = never.</summary>
    public Func<GenerationProtocol.Submit, int?> CutAfter { get; init; } = _ => null;

    /// <summary>How the generation ends when it was not cut.</summary>
    public GenerationOutcome Outcome { get; init; } = GenerationOutcome.Length;

    /// <summary>Sends the last token of the submission again before new ones.</summary>
    public bool RepeatsLast { get; init; }

    /// <summary>Leaves generations open until they are cancelled.</summary>
    public bool Holds { get; init; }

    private readonly Dictionary<GenerationId, int> _allowed = [];

    public int Submissions;
    public int Cancels;

    public ScriptedHead(EphemeralPki pki, string node)
    {
        Node = node;
        CertificateFiles files = pki.Files(PeerRole.Node, node);
        Certificates = CertificateProvider.FromFiles(files.CertificatePath, files.KeyPath, files.TrustBundlePath);
        _listener = LinkListener.Start(new LinkOptions(), Certificates, (_, _) => new LinkDecision(Accept, null));
    }

    public string Node { get; }

    public Endpoint Endpoint => _listener.Endpoint;

    private CertificateProvider Certificates { get; }

    public static int TokenAt(GenerationProtocol.Submit submit, int index) => (submit.PromptTokens[0] * 31) + (index * 7);

    public async ValueTask DisposeAsync()
    {
        lock (_links)
        {
            _links.ForEach(link => link.Dispose());
        }

        await _listener.DisposeAsync();
        Certificates.Dispose();
    }

    private Handler Accept(Link link)
    {
        lock (_links)
        {
            _links.Add(link);
        }

        return new Handler(this);
    }

    /// <summary>Waits, as a head pauses, until one more token may be emitted than there are before this one.</summary>
    private void AwaitAllowed(GenerationProtocol.Submit submit, int index)
    {
        lock (_allowed)
        {
            while (index >= Math.Max(submit.Allowed == 0 ? int.MaxValue : submit.Allowed, _allowed.GetValueOrDefault(submit.Generation)))
            {
                Monitor.Wait(_allowed);
            }
        }
    }

    private void Run(Link link, int epoch, GenerationProtocol.Submit submit)
    {
        try
        {
            int index = submit.EmittedTokens.Length - (RepeatsLast && submit.EmittedTokens.Length > 0 ? 1 : 0);
            int? cut = CutAfter(submit) is int after ? submit.EmittedTokens.Length + after : null;
            for (; index < submit.MaxTokens; index++)
            {
                if (index == cut)
                {
                    link.Close("cut by the script");
                    return;
                }

                AwaitAllowed(submit, index);
                link.Send(FrameKind.TokensGenerated, epoch, 0, Wire.Encode(new GenerationProtocol.TokensGenerated(submit.Generation, index, [TokenAt(submit, index)], [], [], [])));
            }

            link.Send(FrameKind.GenerationEnded, epoch, 0, Wire.Encode(new GenerationProtocol.GenerationEnded(submit.Generation, Outcome, submit.MaxTokens, 0, "")));
        }
        catch (LinkClosedException)
        {
            // Cut by another generation of the script.
        }
    }

    private sealed class Handler(ScriptedHead head) : ILinkHandler
    {
        public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
        {
            if (kind == FrameKind.Cancel)
            {
                Interlocked.Increment(ref head.Cancels);
                return;
            }

            if (kind == FrameKind.Allow)
            {
                var allow = Wire.Decode<GenerationProtocol.Allow>(payload);
                lock (head._allowed)
                {
                    head._allowed[allow.Generation] = Math.Max(allow.Tokens, head._allowed.GetValueOrDefault(allow.Generation));
                    Monitor.PulseAll(head._allowed);
                }

                return;
            }

            var submit = Wire.Decode<GenerationProtocol.Submit>(payload);
            link.Grant();
            Interlocked.Increment(ref head.Submissions);
            if (!head.Holds)
            {
                new Thread(() => head.Run(link, epoch, submit)) { IsBackground = true }.Start();
            }
        }

        public void OnClosed(Link link, string reason)
        {
        }
    }
}
