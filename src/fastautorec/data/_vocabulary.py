"""Words that columns are named by."""

from __future__ import annotations

# Names that are nothing else, the first choice before the others. All are compared without signs and in small letters.
EXACT = {
    "user": {"user", "userid"},
    "item": {"item", "itemid"},
    "rating": {"rating", "ratings"},
    "timestamp": {"timestamp"},
}
# Names that are hardly anything else. A rating or a time has one of these names or none: an average rating, a risk
# score or a release date is a property of a user or an item, and no list of such properties would be complete.
KNOWN = {
    "user": {
        *("uid", "usr", "customer", "reviewer", "visitor", "person", "customerid", "reviewerid", "visitorid"),
        *("client", "clientid", "cliente", "clienteid", "idcliente", "matrikelnummer"),
        *(
            "klant",
            "klantid",
            "klantnummer",
            "kundenummer",
            "kundeid",
            "codcliente",
            "idutente",
            "utenteid",
            "usuarioid",
        ),
        *("idusuario", "userpseudoid", "steamid", "msno", "用户id", "用户编号"),
        *("kundennummer", "kundennr", "kundenid", "kunde", "utente", "utilisateur", "usuario", "gebruiker"),
    },
    "item": {
        *("iid", "movie", "book", "product", "article", "artist", "track", "song", "asin", "parentasin", "isbn"),
        *("movieid", "bookid", "productid", "articleid", "artistid", "trackid", "songid", "listingid"),
        *(
            "articolo",
            "articoloid",
            "idarticolo",
            "livro",
            "livroid",
            "pelicula",
            "película",
            "vare",
            "varenummer",
            "varenr",
        ),
        *(
            "codproduto",
            "codprodotto",
            "codproducto",
            "produtoid",
            "productoid",
            "idproducto",
            "idproduto",
            "prodottoid",
        ),
        *("appid", "steamappid", "stockcode", "商品id", "商品编号"),
        *("artikelnummer", "artikelnr", "artnr", "artikel", "prodotto", "producto", "produit", "produto", "articulo"),
    },
    "rating": {
        *("score", "stars", "star", "overall", "value", "bookrating", "movierating", "userrating", "reviewrating"),
        *("reviewscore", "reviewoverall", "starrating", "itemrating", "bewertung", "calificacion", "valoracion"),
    },
    "timestamp": {
        *("time", "date", "datetime", "ts", "unixtime", "unixreviewtime", "timestampms", "timestamputc", "timeutc"),
        *("reviewtime", "reviewdate", "reviewtimestamp", "ratingtime", "ratingdate", "ratingtimestamp", "eventtime"),
        *("eventdate", "eventtimestamp", "orderdate", "ordertime", "ordertimestamp", "invoicedate", "purchasedate"),
        *("purchasetime", "purchasetimestamp", "transactiondate", "transactiontime", "tdat", "visitdate", "visittime"),
        *("clicktime", "clickdate", "viewdate", "watchdate", "loandate", "checkindate", "checkintime", "bookingdate"),
        *("interactiontime", "interactiondate", "datecreated", "createdate", "createtime", "created", "when", "dt"),
        *("createdat", "ratedat", "reviewedat", "boughtat", "purchasedat", "orderedat", "soldat", "watchedat"),
        *("viewedat", "listenedat", "playedat", "clickedat", "visitedat", "readat", "likedat", "occurredat"),
        *("datum", "zeit", "zeitpunkt", "zeitstempel", "bestelldatum", "kaufdatum", "bewertungsdatum", "ausleihdatum"),
        *("fecha", "fechahora", "fechacompra", "dateachat", "datecommande", "horodatage"),
    },
}
# Nouns of columns of users and items: the last word of their name that is no mere "id" or "name".
NOUNS = {
    "user": {
        *("user", "usr", "customer", "reviewer", "visitor", "person", "client", "buyer", "account", "member"),
        *("viewer", "device", "session", "playlist", "reader", "listener", "player", "subscriber", "shopper", "guest"),
        *("patient", "student", "borrower", "consumer", "household", "basket", "who", "kunde", "kunden", "login"),
        *("username", "email", "mail"),
        *(
            "benutzer",
            "nutzer",
            "kaeufer",
            "käufer",
            "mitglied",
            "konto",
            "utilisateur",
            "usuario",
            "cliente",
            "utente",
        ),
    },
    "item": {
        *("item", "iid", "movie", "book", "product", "article", "artist", "track", "song", "asin", "isbn", "sku"),
        *("app", "content", "title", "what", "stock", "film", "video", "album", "game", "page", "url", "offer"),
        *(
            "goods",
            "news",
            "recipe",
            "venue",
            "poi",
            "place",
            "location",
            "restaurant",
            "hotel",
            "course",
            "listing",
            "pid",
        ),
        *(
            "job",
            "show",
            "episode",
            "podcast",
            "anime",
            "beer",
            "joke",
            "business",
            "brand",
            "material",
            "gtin",
            "ean",
            "upc",
        ),
        *(
            "artikel",
            "produkt",
            "buch",
            "ware",
            "titel",
            "lied",
            "produit",
            "producto",
            "articulo",
            "entity",
            "prodotto",
        ),
    },
}
# Nouns that often tell a property of a user, an item or a visit that another column names: they give way to it.
WEAK = {
    *("title", "titel", "url", "page", "content", "brand", "location", "place", "venue", "stock", "offer", "what"),
    *("device", "session", "basket", "household", "account", "who", "playlist", "show", "business", "material"),
    *("username", "login", "email", "mail"),
}
# Of these, what is not itself a user or an item as often as it is: asked for where another column may be it.
DOUBTED = {
    "user": {"session", "device", "basket", "who", "household", "account", "email", "mail", "login", "person"},
    "item": {
        *("title", "titel", "url", "page", "content", "brand", "location", "place", "show", "business", "material"),
        *("app", "what", "offer", "venue", "stock", "album", "job"),
    },
}
# Words beside a noun in the names of its ids: customer_unique_id is a customer's.
QUALIFIERS = {"unique", "pseudo", "hashed", "anon", "anonymous", "external", "internal"}
# Words in the names of columns that hold neither users nor items, beside those of `UNRATED`, `OTHER` and `EVENTS`.
PROPERTIES = {
    *("country", "city", "state", "region", "language", "lang", "locale", "platform", "browser", "os", "status"),
    *("source", "referrer", "channel", "medium", "campaign", "version", "description", "summary", "author", "director"),
    *("publisher", "genres", "tags", "tag", "categories", "image", "img", "link", "color", "colour", "currency"),
    *("first", "last", "full", "gender", "occupation", "time", "date", "datetime", "timestamp", "ts", "month", "hours"),
    *("minutes", "seconds", "dwell", "offset", "pos", "score", "rating", "ratings", "stars", "section", "address"),
    *(
        "store",
        "invoice",
        "order",
        "transaction",
        "revenue",
        "sales",
        "value",
        "quality",
        "rowid",
        "row",
        "unnamed",
        "level",
    ),
}
# Words that say how something is named or numbered, and not what it is.
MERE = {
    *("id", "ids", "name", "names", "no", "nr", "num", "number", "code", "key", "hash", "uuid", "guid", "idx", "index"),
    *("uri", "uid"),
}
# Headings of other columns, by which a header is told from a line of data.
OTHER = {
    *("rank", "label", "comment", "quantity", "count", "plays", "weight", "event", "type", "genre", "price", "text"),
    *("vote", "votes", "liked", "category", "amount", "cid", "grade", "menge", "preis"),
}
# Things that people do with items: values of a column that is neither the user nor the item.
EVENTS = {
    *("view", "views", "viewed", "pageview", "pv", "click", "clicks", "clicked", "tap", "impression", "show", "seen"),
    *("cart", "addtocart", "addcart", "removefromcart", "removecart", "basket", "addtobasket", "checkout", "wishlist"),
    *("purchase", "purchased", "transaction", "buy", "bought", "order", "ordered", "sale", "return", "returned"),
    *("like", "liked", "likes", "dislike", "disliked", "love", "fav", "favorite", "favourite", "save", "bookmark"),
    *("rate", "rated", "rating", "review", "reviewed", "comment", "share", "shared", "follow", "unfollow", "search"),
    *("play", "played", "listen", "listened", "skip", "skipped", "watch", "watched", "read", "download", "visit"),
}
# What stands for a rating of two values.
OPINIONS = {
    *("like", "dislike", "liked", "disliked", "love", "hate", "true", "false", "t", "f", "yes", "no", "y", "n"),
    *("up", "down", "thumbs up", "thumbs down", "positive", "negative"),
}
# Words in the names of columns of numbers that are no ratings of an item by a user.
UNRATED = {
    *("average", "avg", "mean", "median", "predicted", "sum", "total", "count", "counts", "num", "number", "no", "nr"),
    *(
        "price",
        "cost",
        "amount",
        "discount",
        "zip",
        "zipcode",
        "year",
        "month",
        "day",
        "week",
        "weekday",
        "hour",
        "age",
    ),
    *("id", "ids", "code", "index", "idx", "rank", "position", "order", "length", "duration", "runtime", "size"),
    *("risk", "credit", "lat", "lon", "lng", "latitude", "longitude", "weight", "gender", "sex", "preis", "prix"),
}
