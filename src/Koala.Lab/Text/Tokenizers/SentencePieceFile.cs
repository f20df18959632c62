using Google.Protobuf;

namespace Koala.Lab.Text.Tokenizers;

/// <summary>Reads a SentencePiece model (<c>tokenizer.model</c>).</summary>
/// <remarks>The file is a protocol buffer (sentencepiece_model.proto). What the model does not need is skipped.</remarks>
internal sealed class SentencePieceFile
{
    /// <summary>The file's name in a Hugging Face folder.</summary>
    public const string FileName = "tokenizer.model";

    private const string Fix = "get the file again";
    private const int Unigram = 1, Bpe = 2;

    private readonly string _path;
    private readonly List<(string Text, float Score, PieceKind Kind)> _pieces = [];
    private int _modelType = Unigram;
    private bool _byteFallback, _spaceIsSuffix;
    private bool _dummyPrefix = true, _removesExtraSpaces = true, _escapesSpaces = true;
    private byte[] _characterMap = [];

    private SentencePieceFile(string path) => _path = path;

    /// <param name="bytes">The content of the file.</param>
    /// <param name="path">The file, for error messages.</param>
    /// <exception cref="KoalaException">The file is damaged, or needs something that Koala does not have.</exception>
    public static SentencePieces Read(byte[] bytes, string path)
    {
        var file = new SentencePieceFile(path);
        try
        {
            file.Read(new CodedInputStream(bytes));
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new KoalaException(path, $"is no SentencePiece model ({MessageText.Text(e.Message.TrimEnd('.'))})", Fix, e);
        }
        return file.Checked();
    }

    private SentencePieces Checked()
    {
        if (_pieces.Count == 0) throw new KoalaException(_path, "is no SentencePiece model: it has no pieces", Fix);
        if (_pieces.FindIndex(piece => !float.IsFinite(piece.Score)) is var wrong and >= 0)
            throw new KoalaException(_path, $"gives piece {wrong} the score {_pieces[wrong].Score}, but finite numbers are expected", Fix);
        if (_modelType is not (Unigram or Bpe)) throw Unsupported("a model of words or characters");
        if (_spaceIsSuffix) throw Unsupported("spaces at the ends of words (treat_whitespace_as_suffix)");
        if (!_escapesSpaces) throw Unsupported("spaces as they are (escape_whitespaces is false)");
        var map = _characterMap.Length == 0
            ? null
            : CharacterMap.TryRead(_characterMap) ?? throw new KoalaException(_path, "has a damaged table of replaced characters", Fix);
        var prefixes = _dummyPrefix;
        return new SentencePieces(_pieces)
        {
            IsUnigram = _modelType == Unigram,
            HasByteFallback = _byteFallback,
            CharacterMap = map,
            RemovesExtraSpaces = _removesExtraSpaces,
            Prefix = position => prefixes && position != TextPosition.Within,
        };
    }

    private KoalaException Unsupported(string what) => new(_path, $"has {what}, which Koala does not know",
        "make a tokenizer.json with transformers: AutoTokenizer.from_pretrained(FOLDER).save_pretrained(FOLDER)");

    private void Read(CodedInputStream input)
    {
        while (input.ReadTag() is var tag and not 0)
            switch (WireFormat.GetTagFieldNumber(tag), WireFormat.GetTagWireType(tag))
            {
                case (1, WireFormat.WireType.LengthDelimited): Message(input, ReadPiece()); break;
                case (2, WireFormat.WireType.LengthDelimited): Message(input, ReadTrainer); break;
                case (3, WireFormat.WireType.LengthDelimited): Message(input, ReadNormalizer); break;
                default: input.SkipLastField(); break;
            }
    }

    private delegate bool Field(CodedInputStream input, int number);

    // Reads the fields of a message; what the reader does not take is skipped.
    private static void Message(CodedInputStream input, Field read)
    {
        var message = input.ReadBytes().CreateCodedInput();
        while (message.ReadTag() is var tag and not 0)
            if (!read(message, WireFormat.GetTagFieldNumber(tag))) message.SkipLastField();
    }

    private Field ReadPiece()
    {
        _pieces.Add(("", 0, PieceKind.Normal));
        return (input, number) =>
        {
            switch (number)
            {
                case 1: _pieces[^1] = _pieces[^1] with { Text = input.ReadString() }; return true;
                case 2: _pieces[^1] = _pieces[^1] with { Score = input.ReadFloat() }; return true;
                case 3: _pieces[^1] = _pieces[^1] with { Kind = Kind(input.ReadEnum()) }; return true;
                default: return false;
            }
        };
    }

    private PieceKind Kind(int number) => Enum.IsDefined((PieceKind)number)
        ? (PieceKind)number
        : throw new KoalaException(_path, $"gives piece {_pieces.Count - 1} the type {number}, but types are 1 to 6", Fix);

    private bool ReadTrainer(CodedInputStream input, int number)
    {
        switch (number)
        {
            case 3: _modelType = input.ReadEnum(); return true;
            case 24: _spaceIsSuffix = input.ReadBool(); return true;
            case 35: _byteFallback = input.ReadBool(); return true;
            default: return false;
        }
    }

    private bool ReadNormalizer(CodedInputStream input, int number)
    {
        switch (number)
        {
            case 2: _characterMap = input.ReadBytes().ToByteArray(); return true;
            case 3: _dummyPrefix = input.ReadBool(); return true;
            case 4: _removesExtraSpaces = input.ReadBool(); return true;
            case 5: _escapesSpaces = input.ReadBool(); return true;
            default: return false;
        }
    }
}
