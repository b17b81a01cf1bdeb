using System.Diagnostics;
using Lamina.Cluster.Links;
using Lamina.Cluster.Messages;
using Lamina.Compute.Sampling;
using Lamina.Node.Pipeline;

namespace Lamina.Node.Stages;

/// <summary>
/// A coordinator's link to the head: submissions in, tokens out. Tokens wait in a bounded queue for a sending thread of the link's own, so that a slow coordinator holds up
/// no step; one that falls too far behind loses its link, and with it its generations are cancelled.
/// </summary>
internal sealed class CoordinatorLink : ILinkHandler, IGenerationOwner
{
    private const int MaxQueued = 1 << 16;

    private static readonly TimeSpan s_loadInterval = TimeSpan.FromMilliseconds(250);

    private readonly Link _link;
    private readonly PipelineHead _head;
    private readonly TenantId _tenant;
    private readonly int _epoch;
    private readonly int _kvBlocks;
    private readonly object _gate = new();
    private TokenOutbox _filling = new();
    private TokenOutbox _sending = new();
    private bool _closed;

    public CoordinatorLink(Link link, PipelineHead head, NodeCommands.LoadStage plan)
    {
        _link = link;
        _head = head;
        _tenant = plan.Tenant;
        _epoch = plan.Address.Epoch;
        _kvBlocks = plan.Settings.KvBlocks;
        new Thread(SendAll) { IsBackground = true, Name = "generations out" }.Start();
    }

    public void OnFrame(Link link, FrameKind kind, int epoch, int step, ReadOnlySpan<byte> payload)
    {
        try
        {
            if (epoch != _epoch)
            {
                _head.Meter.CountStaleFrame();
            }
            else if (kind == FrameKind.Submit)
            {
                var submit = Wire.Decode<GenerationProtocol.Submit>(payload);
                CheckTenant(submit.Tenant);
                _head.Submit(submit, this);
            }
            else if (kind == FrameKind.Cancel)
            {
                var cancel = Wire.Decode<GenerationProtocol.Cancel>(payload);
                CheckTenant(cancel.Tenant);
                _head.Cancel(cancel.Generation, this);
            }
            else if (kind == FrameKind.Allow)
            {
                var allow = Wire.Decode<GenerationProtocol.Allow>(payload);
                CheckTenant(allow.Tenant);
                _head.Allow(allow.Generation, allow.Tokens, this);
            }
            else
            {
                throw new InvalidDataException($"a {kind} frame is not expected from a coordinator");
            }

            if (kind == FrameKind.Submit)
            {
                link.Grant();
            }
        }
        catch (InvalidDataException e)
        {
            link.Close(e.Message);
        }
    }

    public void OnClosed(Link link, string reason)
    {
        _head.CancelAll(this);
        lock (_gate)
        {
            _closed = true;
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>Its tokens came for the head alone.</summary>
    public void OnTaken(GenerationProtocol.Submit submit) => submit.Forget();

    public void OnToken(GenerationId generation, int index, int token, float logProb, ReadOnlySpan<TokenLogProb> top)
    {
        lock (_gate)
        {
            if (_filling.Count < MaxQueued)
            {
                _filling.Add(generation, index, token, logProb, top);
                Monitor.Pulse(_gate);
                return;
            }
        }

        // Closing may wait for the sender, so not on the compute thread.
        ThreadPool.QueueUserWorkItem(static link => link.Close($"{MaxQueued} tokens wait: the coordinator is too slow"), _link, preferLocal: false);
    }

    public void OnEmbedded(GenerationId generation, ReadOnlySpan<float> values)
    {
        lock (_gate)
        {
            _filling.Add(new GenerationProtocol.TextEmbedded(generation, values.ToArray()));
            Monitor.Pulse(_gate);
        }
    }

    public void OnEnded(GenerationProtocol.GenerationEnded ended)
    {
        lock (_gate)
        {
            _filling.Add(ended);
            Monitor.Pulse(_gate);
        }
    }

    /// <summary>The link is closed instead of ending the generation: the coordinator resumes what it has not seen the end of.</summary>
    public void OnLost(GenerationId generation, int emitted, string reason) =>
        ThreadPool.QueueUserWorkItem(static state => state._link.Close(state.reason), (_link, reason), preferLocal: false);

    private void CheckTenant(TenantId tenant)
    {
        if (tenant != _tenant)
        {
            throw new InvalidDataException("the message names another tenant");
        }
    }

    private void SendAll()
    {
        try
        {
            long loadSentAt = 0;
            long tokens = _head.Tokens;
            while (Swap())
            {
                _sending.SendTo(_link, _epoch);
                TimeSpan elapsed = Stopwatch.GetElapsedTime(loadSentAt);
                if (elapsed >= s_loadInterval)
                {
                    double rate = (_head.Tokens - tokens) / elapsed.TotalSeconds;
                    tokens = _head.Tokens;
                    loadSentAt = Stopwatch.GetTimestamp();
                    _link.Send(FrameKind.HeadLoad, _epoch, 0, Wire.Encode(new GenerationProtocol.HeadLoad(_head.Running, _head.Waiting, _head.FreeKvBlocks, _kvBlocks, rate)));
                }
            }
        }
        catch (LinkClosedException)
        {
            // OnClosed cancels.
        }
        finally
        {
            _sending.Clear();
        }
    }

    /// <summary>Waits for something to send, or for the time to send the load; false when the link has closed.</summary>
    private bool Swap()
    {
        lock (_gate)
        {
            if (_filling.Count == 0 && !_closed)
            {
                Monitor.Wait(_gate, s_loadInterval);
            }

            (_filling, _sending) = (_sending, _filling);
            return !_closed;
        }
    }
}
