namespace Lamina.Cluster.Links;

/// <summary>Something that must be looked after several times a second.</summary>
internal interface IPulsed
{
    /// <param name="now">Milliseconds of <see cref="Environment.TickCount64"/>.</param>
    /// <param name="stalled">This process itself stood still since the last call.</param>
    void Pulse(long now, bool stalled);
}

/// <summary>One thread for the pings and deadlines of all links: timers of the thread pool come late just when the machine is busy computing.</summary>
internal static class LinkPulse
{
    private const int PeriodMs = 25;
    private const int StallMs = 500;

    private static readonly HashSet<IPulsed> s_members = [];
    private static Thread? s_thread;

    public static void Add(IPulsed member)
    {
        lock (s_members)
        {
            s_members.Add(member);
            if (s_thread is null)
            {
                s_thread = new Thread(Run) { IsBackground = true, Name = "link-pulse", Priority = ThreadPriority.AboveNormal };
                s_thread.Start();
            }

            Monitor.Pulse(s_members);
        }
    }

    public static void Remove(IPulsed member)
    {
        lock (s_members)
        {
            s_members.Remove(member);
        }
    }

    private static void Run()
    {
        long last = Environment.TickCount64;
        List<IPulsed> members = [];
        while (true)
        {
            members.Clear();
            lock (s_members)
            {
                if (s_members.Count == 0)
                {
                    Monitor.Wait(s_members);
                    last = Environment.TickCount64;
                }

                members.AddRange(s_members);
            }

            long now = Environment.TickCount64;
            foreach (IPulsed member in members)
            {
                member.Pulse(now, now - last > StallMs);
            }

            last = now;
            Thread.Sleep(PeriodMs);
        }
    }
}
